"""`rollback unfence ENV`: put back what a rollback left to an operator."""

from typing import Annotated

import typer

from rollback.leases.holder import describe_holder, find_live_lease
from rollback.operations import unfence as fence
from rollback_cli import deployed, lever


def unfence(
    environment: str,
    reason: lever.Reason,
    service: lever.Service = None,
    force: Annotated[
        bool, typer.Option(help="beside a rollback that goes on, and over what speaks against it")
    ] = False,
) -> None:
    """Start the tasks again, put scaling back exactly, protect the branch again.

    Exit code 1: not all could be put back yet, call it again.
    """
    here, operator = deployed.find(environment), lever.operator(reason)
    world = here.world()
    name = service or here.settings.service_or_only(None).name  # one that the settings have no more may be owed too
    lease = find_live_lease(name, world)
    if lease is not None and force:
        lever.print_paragraph(describe_holder(lease, world))
    unfenced = fence.unfence(name, operator, world, force=force)
    for one in unfenced.done:
        lever.print_paragraph(f"put back: {one}")
    for one in unfenced.left:
        lever.print_paragraph(f"NOT YET: {one}")
    lever.print_paragraph(unfenced.stands)
    if unfenced.left:
        lever.print_paragraph(
            "Scaling waits for the tasks to run, the deployment configuration for the rollout: call it again then. "
            "A branch that could not be protected from here: protect it in Neon's console, and call it again"
        )
        raise typer.Exit(1)
