"""`rollback reject ENV ID`: end a waiting rollback."""

from rollback_cli.operator_options import DecideInProcess, Environment, Reason, RollbackId
from rollback_cli.send_decision import send_decision


def reject(
    environment: Environment, rollback_id: RollbackId, reason: Reason, in_process: DecideInProcess = False
) -> None:
    """Reject a rollback that waits for an approval; the rollback ends, and nothing is changed.

    Exit code 0: the decision is stored; 1: it is refused, and the text says why.
    """
    send_decision(environment, rollback_id, "reject", reason, in_process=in_process)
