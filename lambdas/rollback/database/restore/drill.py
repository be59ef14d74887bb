"""Rehearse a restore: check the restore point on a preview branch, delete the preview, and leave the branch alone.

It is the first half of a restore, by the same code. There is no fence, and no service stops.
"""

from dataclasses import dataclass

from rollback.database.changes.ports import FencePorts
from rollback.database.changes.reconcile import run_strategy
from rollback.database.preflight.branch_context import BranchContext
from rollback.database.restore.next_action import RestoreMove, RestoreSnapshot, next_rehearsal_move
from rollback.database.restore.reconciler import RestoreStrategy
from rollback.domain.database.progress import DatabaseOutcome, OverwriteProgress, RestorePoint
from rollback.domain.rollback import Rollback


def rehearse_restore(rollback: Rollback, point: RestorePoint, context: BranchContext, ports: FencePorts) -> Rollback:
    """Observe once, and make at most one change: of the preview branch only. Ends and raises as `restore` does."""
    return run_strategy(rollback, RestoreRehearsal(context, ports, point), ports)


@dataclass
class RestoreRehearsal(RestoreStrategy):
    """A restore that ends once its preview was checked and deleted."""

    is_fenced = False

    def next_action(self, snapshot: RestoreSnapshot, progress: OverwriteProgress) -> RestoreMove:
        """Decide the next move, which never changes the branch itself."""
        return next_rehearsal_move(snapshot, progress)

    def act(
        self, rollback: Rollback, progress: OverwriteProgress, action: RestoreMove, snapshot: RestoreSnapshot
    ) -> Rollback:
        """Make the move; the last one ends the rehearsal with an outcome of its own."""
        if action is RestoreMove.DONE:
            now = self.ports.clock.now()
            ended_progress = progress.record_move(action, now).ended(DatabaseOutcome.REHEARSED, now)
            return rollback.evolve(database=ended_progress, wait_seconds=0)
        return super().act(rollback, progress, action, snapshot)
