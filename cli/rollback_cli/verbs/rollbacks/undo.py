"""`rollback undo ENV ID`: restore what a rollback removed from the database, from its backup branch."""

from rollback.domain.rollback import service_of
from rollback.errors import InvalidRequest
from rollback_cli import deployed_stack
from rollback_cli.operator_options import (
    DryRun,
    Environment,
    InProcess,
    OverrideChecks,
    RollbackId,
    RollbackReason,
    SkipConfirmation,
)
from rollback_cli.start_and_follow import start_and_follow


def undo(
    environment: Environment,
    rollback_id: RollbackId,
    force: OverrideChecks = False,
    yes: SkipConfirmation = False,
    dry_run: DryRun = False,
    reason: RollbackReason = "",
    in_process: InProcess = False,
) -> None:
    """Restore the database from the backup branch of a rollback; undoing a full rollback moves the service too.

    A new backup branch keeps the rows written since that rollback. Afterwards the branch is a child of the old backup.
    Neon restores only root branches to points in their own past, so this branch can no longer be restored to a time.
    """
    service = service_of(rollback_id)
    try:
        undone_rollback = deployed_stack.find_deployment(environment).ports().ledger.read(service, rollback_id)
    except KeyError as error:
        raise InvalidRequest(
            f"the ledger has no rollback {rollback_id}; `rollback history {environment}` lists the rollbacks"
        ) from error
    options = {
        "type": undone_rollback.request.type.value,
        "service": service,
        "undo": rollback_id,
        "force": force,
        "dry_run": dry_run,
        "reason": reason,
    }
    start_and_follow(environment, options, in_process=in_process, yes=yes)
