"""`rollback promote ENV`: promote a release on an operator's word, so that the first incident has a rollback target."""

from typing import Annotated

import typer

from rollback.promotion.promote import promote_by_operator
from rollback_cli import deployed_stack, requester
from rollback_cli.operator_options import Environment, Service
from rollback_cli.terminal_text import print_paragraph


def promote(
    environment: Environment,
    version: Annotated[str | None, typer.Option(help="release to promote; default: the running one")] = None,
    service: Service = None,
) -> None:
    """Make a release the last known good, without waiting for its bake; nothing is deployed."""
    deployment = deployed_stack.find_deployment(environment)
    name = deployment.settings.service_or_only(service).name
    release = promote_by_operator(name, version, requester.requester_name(), deployment.ports())
    print_paragraph(f"{release.version} is {release.state} ({release.state_reason})")
