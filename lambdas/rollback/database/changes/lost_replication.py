"""Tell which replication a restore deleted: looked at on the branch that came of it."""

from typing import TypeVar

from pydantic import SecretStr

from rollback.database.preflight.context import RestoreContext
from rollback.domain.database.progress import DatabaseProgress
from rollback.errors import ExternalServiceError
from rollback.resources.database.errors import RetryLater

ProgressT = TypeVar("ProgressT", bound=DatabaseProgress)


def note_lost_replication(progress: ProgressT, address: SecretStr, restoring: RestoreContext) -> ProgressT:
    """With a note for each slot and subscription that is gone, and for what could not be looked at.

    Raises:
        RetryLater: the database does not answer now.
    """
    if not progress.replication_at_risk:
        return progress
    try:
        there = restoring.sql.background_work(address)
    except RetryLater:
        raise
    except ExternalServiceError as failure:
        return progress.add_note(
            f"may be lost, and was not looked at ({failure}): {', '.join(progress.replication_at_risk)}"
        )
    for lost in progress.replication_at_risk:
        if lost not in there.replication_at_risk:
            progress = progress.add_note(f"lost by the restore: {lost}: whatever uses it has to be set up anew")
    for what in there.unreadable_parts:
        progress = progress.add_note(f"not looked at after the restore: {what}")
    return progress
