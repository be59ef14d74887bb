"""`rollback abort ENV ID`: end a rollback that is going on, and see it concluded."""

import typer

from rollback.operations import pause_abort_unlock as levers
from rollback_cli import deployed, direct, lever, plain
from rollback_cli import show as display


def abort(environment: str, rollback_id: str, reason: lever.Reason) -> None:
    """End an open rollback. What it has fenced stays fenced. Exit code 1: something was left for you to put back."""
    here, operator = deployed.find(environment), lever.operator(reason)
    world = here.world()
    ended = levers.abort(rollback_id, operator, world)
    lever.print_paragraph(
        f"{rollback_id} is {ended.outcome}; it is being concluded (left alone, the janitor concludes it)"
    )
    concluded = direct.wait_until_concluded(rollback_id, world)
    display.rollback(plain.console(), concluded, here.settings)
    if concluded.superseded_by is not None:
        lever.print_paragraph(f"{concluded.superseded_by} has taken it over and goes on")
    pause = f"rollback pause {environment} --service {concluded.service_name}"
    lever.print_paragraph(f"The next alarm starts another one, unless you stop that too: {pause} --reason '…'")
    if concluded.left_to_operator():
        raise typer.Exit(1)
