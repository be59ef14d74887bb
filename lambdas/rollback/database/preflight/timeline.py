"""Decide whether a restore point is on the timeline that a branch has now.

A restore gives a branch another timeline of Neon's, which begins at an LSN of the former one. Later LSNs are used
again, so a position that was recorded before the restore names other data. The former timeline stays with the backup.
Postgres shows its timeline in `neon.timeline_id`, a setting that every role may read and that is fixed while the server
runs (neondatabase/neon, `pgxn/neon/libpagestore.c`: PGC_POSTMASTER, no flags).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from rollback.check import Check
from rollback.domain.database.progress import BACKUP_PREFIX
from rollback.domain.database.restore_points import RecordedPoint
from rollback.resources.database.neon import Branch

CHECK_NAME = "restore-point-is-on-this-timeline"


@dataclass(frozen=True)
class OwnRestore:
    """A rollback that replaced the branch's data, or may have, if it is unknown whether Neon accepted its restore.

    Attributes:
        at: latest time at which Neon accepted the restore.
        backup: name of the branch that keeps the history before it.
    """

    rollback_id: str
    at: datetime
    backup: str


@dataclass(frozen=True)
class BranchHistory:
    """The history of a branch, as the ledger records it.

    Attributes:
        timeline: at the last observation, if that was after all of `restores`; None: not known.
        restores: restores that our own rollbacks made.
    """

    timeline: str | None = None
    restores: tuple[OwnRestore, ...] = ()

    def has(self, point: RecordedPoint) -> bool:
        """Whether a point is on this history: no restore of ours came after it, and no known timeline contradicts."""
        if None not in (self.timeline, point.timeline) and self.timeline != point.timeline:
            return False
        return self.first_restore_after(point.at) is None

    def first_restore_after(self, at: datetime) -> OwnRestore | None:
        """The first own restore after a time: its backup keeps the history of that time. None: there was none."""
        return min(
            (restore for restore in self.restores if at <= restore.at), key=lambda restore: restore.at, default=None
        )

    def failed_check(self, at: datetime, position: str) -> Check:
        """Make the failed check of a position that is not on this history; its reason says where its history is.

        Args:
            at: time of the position.
            position: the position, in the words of the plan.
        """
        restore = self.first_restore_after(at)
        if restore is None:
            reason_part = (
                "on another timeline of Neon than the branch now: a restore outside of our rollbacks changed it"
            )
            location = f"the branch that the restore kept it in, in Neon's console ({BACKUP_PREFIX}… if it was ours)"
        else:
            reason_part = f"before {restore.rollback_id} restored the branch on {restore.at:%Y-%m-%d %H:%M:%S} UTC"
            location = f"{restore.backup}, the backup of that restore"
        reason = (
            f"{position} is {reason_part}; the branch's own history has other data at that position. The history is in "
            f"{location}: restore the branch from there in Neon's console"
        )
        return Check.failed(CHECK_NAME, reason)


def judge_timeline(recorded: str | None, live: str | None, branch: Branch, branches: Sequence[Branch]) -> Check:
    """Compare the timeline of a restore point with the timeline that the branch runs on now.

    Args:
        recorded: timeline of the restore point. None: an older version recorded it, an operator named a time, or the
            database is not on Neon.
        live: timeline of the branch now; None: Postgres does not report it.
    """
    if recorded is None:
        reason = "the restore point has no timeline: only the time of the branch's last restore is compared with it"
        return Check.skipped(CHECK_NAME, reason)
    if live is None:
        reason = (
            f"Postgres does not report the timeline of {branch.name}, so it was not compared with the restore point's"
        )
        return Check.warned(CHECK_NAME, reason)
    evidence = {"recorded": recorded, "live": live}
    if recorded == live:
        reason = f"{branch.name} is on the timeline that the point was recorded on"
        return Check.passed(CHECK_NAME, reason, evidence=evidence)
    backups = ", ".join(sorted(b.name for b in branches if b.name.startswith(BACKUP_PREFIX))) or "none of ours is left"
    reason = (
        f"the restore point was recorded on timeline {recorded}, and {branch.name} is on {live}: it was restored "
        f"since, and its LSNs are used again for other data. The history of the point is in the backup of that restore "
        f"({backups}): restore the branch from there in Neon's console"
    )
    return Check.failed(CHECK_NAME, reason, evidence=evidence)
