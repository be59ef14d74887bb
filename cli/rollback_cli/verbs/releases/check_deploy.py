"""`rollback check-deploy ENV --image REF`: for pipelines, before they deploy an image."""

from typing import Annotated

import typer

from rollback.operations import deploy_check
from rollback_cli import deployed_stack
from rollback_cli.operator_options import Environment, Service
from rollback_cli.output.formats import OutputFormat, TextOutput, print_text_or_data
from rollback_cli.output.versions.deploy_check import DeployCheck


def check_deploy(
    environment: Environment,
    image: Annotated[str, typer.Option(help="image reference, with a tag or a digest")],
    service: Service = None,
    output: TextOutput = OutputFormat.TABLE,
) -> None:
    """Say whether an image may be deployed; changes nothing.

    Exit code 0: it may; 1: a rollback left this image, or a rollback is in progress; 2: the image can't be identified.
    """
    deployment = deployed_stack.find_deployment(environment)
    name = deployment.settings.service_or_only(service).name
    decision = deploy_check.check_deploy(name, image, deployment.ports())
    document = DeployCheck(
        environment=environment, service=name, image=image, is_allowed=decision.is_allowed, reason=decision.reason
    )
    print_text_or_data(document, output, (decision.reason,))
    if not decision.is_allowed:
        raise typer.Exit(1)
