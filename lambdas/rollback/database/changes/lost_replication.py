"""Determine by SQL on the restored branch which replication a restore deleted."""

from typing import TypeVar

from pydantic import SecretStr

from rollback.database.preflight.branch_context import BranchContext
from rollback.domain.database.progress import DatabaseProgress
from rollback.errors import ExternalServiceError
from rollback.resources.database.errors import RetryLater

ProgressT = TypeVar("ProgressT", bound=DatabaseProgress)


def note_lost_replication(progress: ProgressT, address: SecretStr, context: BranchContext) -> ProgressT:
    """Note each slot and subscription that is gone, and those that could not be checked.

    Raises:
        RetryLater: the database does not answer now.
    """
    if not progress.replication_at_risk:
        return progress
    try:
        work = context.sql.background_work(address)
    except RetryLater:
        raise
    except ExternalServiceError as failure:
        return progress.add_note(
            f"replication may be lost, and could not be checked ({failure}): {', '.join(progress.replication_at_risk)}"
        )
    for item in progress.replication_at_risk:
        if item not in work.replication_at_risk:
            progress = progress.add_note(f"the restore removed {item}: set up its consumers again")
    for part in work.unreadable_parts:
        progress = progress.add_note(f"after the restore, replication could not be checked: {part}")
    return progress
