"""From context to a cloud assembly: for each environment its stacks. Offline, without account look-ups."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aws_cdk import App, Validations
from aws_cdk import Environment as CdkEnvironment
from cdk_nag import AwsSolutionsChecks

from rollback_constructs.attachment import Attachment
from stacks.acknowledgements import acknowledge_rollback_stack, acknowledge_service_stack
from stacks.environment import Configuration, Environment, stack_names
from stacks.rollback_stack import RollbackStack
from stacks.service_settings import Service
from stacks.service_stack import ServiceStack

PROJECT = Path(__file__).resolve().parents[1]


def project_context() -> dict[str, Any]:
    """The context in `cdk.json`, which the CDK's own command line passes by itself."""
    context: dict[str, Any] = json.loads((PROJECT / "cdk.json").read_text())["context"]
    return context


def build(
    outdir: Path | str | None = None,
    context: Mapping[str, Any] | None = None,
    *,
    validate: bool = True,
    review: bool = False,
) -> App:
    """The app with all stacks; `context` goes over that of `cdk.json`, and the CDK command line's over both.

    `validate` runs CDK's own template validator, which takes half of the time of a synth; `review` runs cdk-nag's
    rules at synth, which then fails on what is not acknowledged in `stacks.acknowledgements`.

    Raises:
        InvalidSettings: a setting is wrong; the text has its path, its value and what is allowed.
    """
    app = App(
        outdir=str(outdir) if outdir else None,
        context={**project_context(), **(context or {})},
        analytics_reporting=False,
        tree_metadata=False,
        builtin_cloud_formation_validation=validate,
    )
    keys = (
        "application", "environments", "image_tag", "rollback:overrides", "rollback:environments",
        "rollback:bundle_platform", "rollback:bundle_python",
    )  # fmt: skip
    configuration = Configuration.read({key: app.node.try_get_context(key) for key in keys})
    for name, environment in configuration.environments.items():
        _add_stacks(app, configuration, name, environment)
    if review:
        Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    return app


def synthesise(outdir: Path | str, context: Mapping[str, Any] | None = None, *, validate: bool = False) -> Path:
    """Write the cloud assembly into `outdir`, which `cdk deploy --app` and the embedded cloud take."""
    build(outdir, context, validate=validate).synth()
    return Path(outdir)


def _add_stacks(app: App, configuration: Configuration, name: str, settings: Environment) -> None:
    env = CdkEnvironment(account=settings.account, region=settings.region)
    service_stack, rollback_stack = stack_names(configuration.application, name)
    attachments = {service.name: _to_attachment(service) for service in settings.services if service.existing}
    for service in settings.created_services:
        made = ServiceStack(app, service_stack, settings=settings, service=service, env=env)
        acknowledge_service_stack(made)
        attachments[service.name] = made.attachment
    in_order = tuple(attachments[service.name] for service in settings.services)
    urls = {attachment.name: attachment.url for attachment in in_order if attachment.url}
    runtime_settings = settings.runtime_settings(configuration.application, name, urls, service_stack)
    watching = RollbackStack(
        app,
        rollback_stack,
        settings=settings,
        runtime_settings=runtime_settings,
        attachments=in_order,
        bundle=configuration.bundle,
        env=env,
    )
    deployed_by = tuple(service.stack for service in runtime_settings.services if service.stack)
    acknowledge_rollback_stack(watching, in_order, f"{runtime_settings.prefix}-rollback", deployed_by)


def _to_attachment(service: Service) -> Attachment:
    if service.existing is None:
        raise ValueError(f"service {service.name!r} is made here")
    shared = {
        "load_balancer_shared": service.shares_balancer,
        "error_log_pattern": service.error_log_pattern,
        "environment_file_buckets": service.environment_file_buckets,
    }
    return Attachment(
        name=service.name,
        cluster=service.cluster,
        ecs_service=service.ecs_service,
        **{**dict(service.existing), **shared},
    )
