"""`rollback approve ENV ID`: let a waiting rollback go on."""

from rollback_cli.operator_options import DecideInProcess, Environment, Reason, RollbackId
from rollback_cli.send_decision import send_decision


def approve(
    environment: Environment, rollback_id: RollbackId, reason: Reason, in_process: DecideInProcess = False
) -> None:
    """Approve a rollback that waits for an approval; the plan is made again, and must still be the approved one.

    Exit code 0: the decision is stored; 1: it is refused, and the text says why.
    """
    send_decision(environment, rollback_id, "approve", reason, in_process=in_process)
