"""Which restore points are on the history that a branch has now.

A restore gives a branch another timeline of Neon's, which begins at an LSN of the former one: LSNs after that are used
again, and a position that was recorded before names other data. The former timeline stays with the backup. Postgres
tells the timeline that it runs on in `neon.timeline_id`, a setting that every role may read and that is fixed while
the server runs (neondatabase/neon, `pgxn/neon/libpagestore.c`: PGC_POSTMASTER, no flags).
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
    """A rollback that replaced the branch's data, or may have: whether Neon accepted its restore is not known.

    Attributes:
        at: when Neon had accepted the restore, at the latest.
        backup: name of the branch that keeps the history before it.
    """

    rollback_id: str
    at: datetime
    backup: str


@dataclass(frozen=True)
class BranchHistory:
    """The history of a branch, as the ledger knows it.

    Attributes:
        timeline: at the last look, if that was after all of `restores`; None: not known.
        restores: those of our own rollbacks.
    """

    timeline: str | None = None
    restores: tuple[OwnRestore, ...] = ()

    def has(self, point: RecordedPoint) -> bool:
        """Whether a point is on it: on no other timeline as far as both are known, and after our own restores."""
        if None not in (self.timeline, point.timeline) and self.timeline != point.timeline:
            return False
        return self.left_by(point.at) is None

    def left_by(self, at: datetime) -> OwnRestore | None:
        """The restore whose backup has the history of a time: the first one after it. None: none of ours was."""
        return min((one for one in self.restores if at <= one.at), key=lambda one: one.at, default=None)

    def judge(self, at: datetime, what: str) -> Check:
        """The check of a position that is not on this history.

        Args:
            what: the position, in the words of the plan.
        """
        left_by = self.left_by(at)
        if left_by is None:
            why = "on another timeline of Neon than the branch now: it was restored meanwhile, by no rollback of ours"
            where = f"the branch that the restore kept it in, in Neon's console ({BACKUP_PREFIX}… if it was ours)"
        else:
            why = f"before {left_by.rollback_id} restored the branch on {left_by.at:%Y-%m-%d %H:%M:%S} UTC"
            where = f"{left_by.backup}, the backup of that restore"
        reason = (
            f"{what} is {why}; the branch's own history has other data at that position. The history is in {where}: "
            "restore the branch from there by hand, in Neon's console"
        )
        return Check.failed(CHECK_NAME, reason)


def judge_timeline(recorded: str | None, live: str | None, branch: Branch, branches: Sequence[Branch]) -> Check:
    """Compare the timeline of a restore point with the one that the branch runs on at this moment.

    Args:
        recorded: with the point; None: it was recorded by an older version, named as a time, or not on Neon.
    """
    if recorded is None:
        reason = "the restore point has no timeline: only the time of the branch's last restore is compared with it"
        return Check.skipped(CHECK_NAME, reason)
    if live is None:
        reason = (
            f"Postgres does not tell the timeline that {branch.name} runs on: not compared with the restore point's"
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
        f"({backups}): restore the branch from there by hand, in Neon's console"
    )
    return Check.failed(CHECK_NAME, reason, evidence=evidence)
