"""Reset: bring a branch to the head of another one, e.g. staging to production. Its own state is always kept.

The source is a setting, never the branch's parent: after a restore of production, staging's parent is the bad backup.
"""

from dataclasses import dataclass, field

from rollback.check import Check
from rollback.database.changes.begin import begin_after_checks
from rollback.database.changes.ports import FencePorts
from rollback.database.changes.reconcile import run_strategy
from rollback.database.changes.source import judge_source
from rollback.database.preflight.branch_context import BranchContext
from rollback.database.preflight.preflight import preflight_of_reset
from rollback.database.preflight.restore_rules import has_protected_only_ip_allow
from rollback.database.restore.reconciler import OverwriteStrategy
from rollback.domain.database.progress import OriginalBranch, OverwriteProgress, ResetProgress
from rollback.domain.rollback import Rollback


def reset(
    rollback: Rollback,
    source_branch_id: str,
    context: BranchContext,
    ports: FencePorts,
    undone_rollback_id: str | None = None,
) -> Rollback:
    """Observe once, and make at most one change. Ends and raises as `restore` does.

    Args:
        rollback: the document.
        source_branch_id: Neon's id of the branch whose head is taken.
        context: the branch, Neon and SQL.
        ports: the other ports.
        undone_rollback_id: the rollback whose backup the source is. Its undo may reset the project's default branch.
    """
    strategy = ResetStrategy(context, ports, source_branch_id, undone_rollback_id)
    return run_strategy(rollback, strategy, ports)


@dataclass
class ResetStrategy(OverwriteStrategy):
    """Reset a branch to the head of another one. No preview is created: the source itself is checked first."""

    source_branch_id: str
    undone_rollback_id: str | None = None
    progress_type: type[OverwriteProgress] = field(default=ResetProgress, init=False)

    def begin(self, rollback: Rollback) -> Rollback:
        """Ask Neon and SQL whether the branch can be reset to the source."""

        def run_checks() -> tuple[Check, ...]:
            checks = preflight_of_reset(
                self.source_branch_id,
                self.context,
                self.ports.clock.now(),
                is_undo=self.undone_rollback_id is not None,
            )
            return (*checks, *judge_source(rollback, checks, self.source_branch_id, self.context, self.ports))

        def new_progress(original_branch: OriginalBranch, checks: tuple[Check, ...]) -> ResetProgress:
            return ResetProgress(
                started_at=self.ports.clock.now(),
                before=original_branch,
                source_branch_id=self.source_branch_id,
                is_ip_allow_protected_only=has_protected_only_ip_allow(checks),
            )

        return begin_after_checks(rollback, run_checks, new_progress, self.context, self.ports)
