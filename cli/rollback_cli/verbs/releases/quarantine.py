"""`rollback quarantine ENV VERSION`: no rollback takes a release as its target any more, except by force."""

from typing import Annotated

import typer

from rollback.operations import quarantine as operation
from rollback_cli import deployed_stack
from rollback_cli.operator_options import Environment, Reason, Service, make_operator
from rollback_cli.terminal_text import print_paragraph


def quarantine(
    environment: Environment,
    version: Annotated[str, typer.Argument(help="version, or the beginning of a fingerprint")],
    reason: Reason,
    service: Service = None,
) -> None:
    """Mark a release as bad and remove it from the standing plan at once; running tasks are left alone."""
    deployment, operator = deployed_stack.find_deployment(environment), make_operator(reason)
    name = deployment.settings.service_or_only(service).name
    print_paragraph(operation.quarantine(name, version, operator, deployment.ports()))
