"""`rollback abort ENV ID`: end an open rollback, and wait until the rollback is concluded."""

import typer

from rollback.operations import pause_abort_unlock
from rollback_cli import deployed_stack
from rollback_cli.direct import conclude
from rollback_cli.display import print_report
from rollback_cli.operator_options import Environment, Reason, RollbackId, make_operator
from rollback_cli.terminal_text import make_console, print_paragraph


def abort(environment: Environment, rollback_id: RollbackId, reason: Reason) -> None:
    """End an open rollback; services that it has fenced stay fenced.

    Exit code 1: settings are left for you to restore.
    """
    deployment, operator = deployed_stack.find_deployment(environment), make_operator(reason)
    ports = deployment.ports()
    rollback = pause_abort_unlock.abort(rollback_id, operator, ports)
    print_paragraph(
        f"{rollback_id} is {rollback.outcome} and is being concluded. If this command is interrupted, the "
        "janitor concludes the rollback"
    )
    rollback = conclude.wait_until_concluded(rollback_id, ports)
    print_report(make_console(), rollback, deployment.settings)
    if rollback.taken_over_by is not None:
        print_paragraph(f"{rollback.taken_over_by} has taken over {rollback_id} and continues the rollback")
    pause = f"rollback pause {environment} --service {rollback.service_name} --reason '…'"
    print_paragraph(f"The next alarm starts another rollback. To prevent automatic rollbacks: {pause}")
    if rollback.left_to_operator():
        raise typer.Exit(1)
