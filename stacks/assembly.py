"""Build the stacks of each environment from CDK context; offline, without look-ups in an account."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aws_cdk import App, Validations
from aws_cdk import Environment as CdkEnvironment
from cdk_nag import AwsSolutionsChecks

from rollback_constructs.attachment import AttachedBalancer, Attachment
from rollback_constructs.settings.environment import CONTEXT_KEYS, Configuration, Environment, stack_names
from rollback_constructs.settings.service import Service
from stacks.rollback_stack import RollbackStack
from stacks.service_stack import ServiceStack

PROJECT = Path(__file__).resolve().parents[1]


def project_context() -> dict[str, Any]:
    """Read the context in the project's `cdk.json`, which the CDK passes by itself; empty in an installed package."""
    file = PROJECT / "cdk.json"
    context: dict[str, Any] = json.loads(file.read_text())["context"] if file.exists() else {}
    return context


def build(
    outdir: Path | str | None = None,
    context: Mapping[str, Any] | None = None,
    *,
    validate: bool = True,
    review: bool = False,
) -> App:
    """Build the app with all stacks.

    Args:
        outdir: folder of the assembly; None: the CDK's default.
        context: replaces keys of `cdk.json`; the CDK's command line replaces both.
        validate: run CDK's own template validator, which takes half of the time of a synth.
        review: run cdk-nag's rules at synth, which fails on findings not in `rollback_constructs.acknowledgements`.

    Raises:
        InvalidSettings: a setting is wrong; the message has its path, its value and what is allowed.
    """
    app = App(
        outdir=str(outdir) if outdir else None,
        context={**project_context(), **(context or {})},
        analytics_reporting=False,
        tree_metadata=False,
        builtin_cloud_formation_validation=validate,
    )
    names = {*CONTEXT_KEYS, *app.node.get_all_context()}
    configuration = Configuration.read(
        {name: value for name in names if (value := app.node.try_get_context(name)) is not None}
    )
    for name, environment in configuration.environments.items():
        _add_stacks(app, configuration, name, environment)
    if review:
        Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    return app


def synthesise(outdir: Path | str, context: Mapping[str, Any] | None = None, *, validate: bool = False) -> Path:
    """Write the cloud assembly to `outdir`, for `cdk deploy --app` and for the embedded cloud."""
    build(outdir, context, validate=validate).synth()
    return Path(outdir)


def _add_stacks(app: App, configuration: Configuration, name: str, settings: Environment) -> None:
    env = CdkEnvironment(account=settings.account, region=settings.region)
    service_stack, rollback_stack = stack_names(configuration.application, name)
    attachments = {service.name: _to_attachment(service) for service in settings.services if service.existing}
    for service in settings.created_services:
        service_resources = ServiceStack(app, service_stack, settings=settings, service=service, env=env)
        attachments[service.name] = service_resources.attachment
    in_order = tuple(attachments[service.name] for service in settings.services)
    urls = {attachment.name: attachment.url for attachment in in_order if attachment.url}
    runtime_settings = settings.runtime_settings(configuration.application, name, urls, service_stack)
    RollbackStack(
        app,
        rollback_stack,
        settings=settings,
        runtime_settings=runtime_settings,
        attachments=in_order,
        bundle=configuration.bundle,
        env=env,
    )


def _to_attachment(service: Service) -> Attachment:
    if service.existing is None:
        raise ValueError(f"service {service.name!r} has no `existing`: a stack creates it")
    existing = service.existing
    return Attachment(
        name=service.name,
        cluster=service.cluster,
        ecs_service=service.ecs_service,
        container=service.container,
        load_balancers=tuple(
            AttachedBalancer(
                name=balancer.load_balancer,
                target_groups=balancer.target_groups,
                is_shared=service.is_shared(balancer),
            )
            for balancer in existing.balancers
        ),
        task_role_arns=existing.task_role_arns,
        execution_role_arns=existing.execution_role_arns,
        log_group=existing.log_group,
        repository=existing.repository,
        sidecar_repositories=existing.sidecar_repositories,
        queues=service.queues,
        extra_alarms=service.extra_alarms,
        error_log_pattern=service.error_log_pattern,
        environment_file_buckets=service.environment_file_buckets,
    )
