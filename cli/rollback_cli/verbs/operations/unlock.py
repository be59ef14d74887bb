"""`rollback unlock ENV`: free the lease of a rollback that no process runs any more."""

from typing import Annotated

import typer

from rollback.leases.holder import describe_holder
from rollback.operations import pause_abort_unlock
from rollback_cli import deployed_stack
from rollback_cli.operator_options import Environment, Reason, Service, make_operator
from rollback_cli.terminal_text import print_paragraph


def unlock(
    environment: Environment,
    reason: Reason,
    service: Service = None,
    force: Annotated[
        bool, typer.Option(help="take the lease of a live rollback too; that rollback is aborted")
    ] = False,
) -> None:
    """Free a service for the next rollback. Refused while the rollback that holds the lease is alive."""
    deployment, operator = deployed_stack.find_deployment(environment), make_operator(reason)
    ports, name = deployment.ports(), deployment.settings.service_or_only(service).name
    lease = ports.ledger.lease(name)
    if lease is not None and force:
        print_paragraph(describe_holder(lease, ports))
    print_paragraph(pause_abort_unlock.unlock(name, operator, ports, force=force))
