"""Build the stacks of each environment from CDK context; offline, without look-ups in an account."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aws_cdk import App, Validations
from aws_cdk import Environment as CdkEnvironment
from cdk_nag import AwsSolutionsChecks, NIST80053R5Checks, ServerlessChecks

from rollback_constructs.attachment import to_attachment
from rollback_constructs.settings.environment import CONTEXT_KEYS, Configuration, Environment, stack_names
from stacks.rollback_stack import RollbackStack
from stacks.service_stack import ServiceStack

PROJECT = Path(__file__).resolve().parents[1]


def project_context() -> dict[str, Any]:
    """Read the context in `cdk.json`, which the CDK's command line passes by itself."""
    context: dict[str, Any] = json.loads((PROJECT / "cdk.json").read_text())["context"]
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
        review: run three packs of cdk-nag at synth, which fails on a finding without acknowledgement:
            `rollback_constructs.findings.acknowledgements`, `rollback_constructs.findings.compliance`.

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
        Validations.of(app).add_plugins(AwsSolutionsChecks(app), NIST80053R5Checks(app), ServerlessChecks(app))
    return app


def synthesise(outdir: Path | str, context: Mapping[str, Any] | None = None, *, validate: bool = False) -> Path:
    """Write the cloud assembly to `outdir`, for `cdk deploy --app` and for the embedded cloud."""
    build(outdir, context, validate=validate).synth()
    return Path(outdir)


def _add_stacks(app: App, configuration: Configuration, name: str, settings: Environment) -> None:
    env = CdkEnvironment(account=settings.account, region=settings.region)
    service_stack, rollback_stack = stack_names(configuration.application, name)
    attachments = {service.name: to_attachment(service) for service in settings.services if service.existing}
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
