"""Tell which replication a restore deleted: looked at on the branch that came of it."""

from pydantic import SecretStr

from rollback.database.preflight.context import Restoring
from rollback.domain.database.progress import DatabaseProgress
from rollback.errors import OutsideFailure
from rollback.resources.database.errors import ComeBackLater


def told_of_lost_work(progress: DatabaseProgress, address: SecretStr, restoring: Restoring) -> DatabaseProgress:
    """With a note for each slot and subscription that is gone, and for what could not be looked at.

    Raises:
        ComeBackLater: the database does not answer now.
    """
    if not progress.can_be_lost:
        return progress
    try:
        there = restoring.sql.background_work(address)
    except ComeBackLater:
        raise
    except OutsideFailure as failure:
        return progress.noted(f"may be lost, and was not looked at ({failure}): {', '.join(progress.can_be_lost)}")
    for lost in progress.can_be_lost:
        if lost not in there.can_be_lost:
            progress = progress.noted(f"lost by the restore: {lost}: whatever uses it has to be set up anew")
    for what in there.not_seen:
        progress = progress.noted(f"not looked at after the restore: {what}")
    return progress
