"""`rollback unquarantine ENV VERSION`: a quarantined or suspect release is a candidate again."""

from typing import Annotated

import typer

from rollback.operations import quarantine as operation
from rollback_cli import deployed_stack
from rollback_cli.operator_options import Environment, Reason, Service, make_operator
from rollback_cli.terminal_text import print_paragraph


def unquarantine(
    environment: Environment,
    version: Annotated[str, typer.Argument(help="version, or the beginning of a fingerprint")],
    reason: Reason,
    service: Service = None,
) -> None:
    """Make a quarantined or suspect release a candidate: the ledger has no evidence for or against it then."""
    deployment, operator = deployed_stack.find_deployment(environment), make_operator(reason)
    name = deployment.settings.service_or_only(service).name
    print_paragraph(operation.unquarantine(name, version, operator, deployment.ports()))
