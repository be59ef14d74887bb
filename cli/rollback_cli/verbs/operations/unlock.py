"""`rollback unlock ENV`: give back the lease of a rollback that nobody walks any more."""

from typing import Annotated

import typer

from rollback.leases.holder import describe_holder
from rollback.operations import pause_abort_unlock as levers
from rollback_cli import deployed, lever


def unlock(
    environment: str,
    reason: lever.Reason,
    service: lever.Service = None,
    force: Annotated[bool, typer.Option(help="take the lease of a living rollback too: it ends as aborted")] = False,
) -> None:
    """Free a service for the next rollback. Refuses while whoever holds its lease is alive."""
    here, operator = deployed.find(environment), lever.operator(reason)
    world, name = here.world(), here.settings.service_or_only(service).name
    lease = world.ledger.lease(name)
    if lease is not None and force:
        lever.print_paragraph(describe_holder(lease, world))
    lever.print_paragraph(levers.unlock(name, operator, world, force=force))
