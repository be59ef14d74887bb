"""`rollback abort ENV ID`: end an open rollback, and wait until it is concluded."""

import typer

from rollback.operations import pause_abort_unlock
from rollback_cli import deployed_stack, direct_mode
from rollback_cli.display import print_report
from rollback_cli.operator_options import Environment, Reason, RollbackId, make_operator
from rollback_cli.terminal_text import make_console, print_paragraph


def abort(environment: Environment, rollback_id: RollbackId, reason: Reason) -> None:
    """End an open rollback; services that it has fenced stay fenced. Exit code 1: you have to put something back."""
    deployment, operator = deployed_stack.find_deployment(environment), make_operator(reason)
    ports = deployment.ports()
    aborted = pause_abort_unlock.abort(rollback_id, operator, ports)
    print_paragraph(
        f"{rollback_id} is {aborted.outcome} and is being concluded; if this command is interrupted, the janitor "
        "concludes it"
    )
    concluded = direct_mode.wait_until_concluded(rollback_id, ports)
    print_report(make_console(), concluded, deployment.settings)
    if concluded.taken_over_by is not None:
        print_paragraph(f"{concluded.taken_over_by} has taken over and continues")
    pause = f"rollback pause {environment} --service {concluded.service_name} --reason '…'"
    print_paragraph(f"The next alarm starts another rollback. To prevent that: {pause}")
    if concluded.left_to_operator():
        raise typer.Exit(1)
