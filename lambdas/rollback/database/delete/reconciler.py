"""Delete: a pull request's branch, when an operator asked for it by name. Neon keeps deleted branches for seven days.

No service is stopped: the pull request is closed. A branch that is gone already is a success.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from rollback.check import Check
from rollback.database.changes.begin import refused_progress, why_refused
from rollback.database.changes.ports import FencePorts
from rollback.database.changes.reconcile import end_unsuccessfully, run_strategy
from rollback.database.changes.send import DatabaseChange, make_change, may_still_arrive, operations_of
from rollback.database.changes.strategy import DatabaseStrategy
from rollback.database.preflight.branch_context import BranchContext
from rollback.database.preflight.rules_by_strategy import judge_delete
from rollback.database.restore.observe import operation_status
from rollback.domain.database.plan import DatabasePlan
from rollback.domain.database.progress import DatabaseOutcome, DeletionProgress, OriginalBranch
from rollback.domain.rollback import Rollback
from rollback.domain.settings.database import DatabaseSettings
from rollback.errors import CallRefused, InvalidRequest
from rollback.leases.ports import LeasePorts
from rollback.resources.database.neon import Branch


class DeletionMove(StrEnum):
    """The moves of a deletion."""

    WAIT_FOR_OPERATIONS = "wait_for_operations"
    DELETE = "delete_branch"
    DONE = "done"
    END = "end"  # given up, and the branch is there


class DeletionSnapshot(BaseModel):
    """The branch as it is now; None: it is gone. `is_busy`: one of our operations runs on it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    branch: Branch | None
    is_busy: bool = False


def delete(rollback: Rollback, plan: DatabasePlan, context: BranchContext, ports: FencePorts) -> Rollback:
    """Observe once, and make at most one change. Call again until the progress has ended.

    Args:
        rollback: the document.
        plan: `branch` is the branch's name.
        context: Neon. Its target need not exist any more.
        ports: the other ports.

    Raises:
        InvalidRequest: the environment has no database any more.
        LeaseLost: another rollback holds the lease, or the lease ends before the function does.
        ExternalServiceError: Neon could not be asked; nothing is lost, call again.
    """
    settings = ports.settings.database
    if settings is None:
        raise InvalidRequest(f"no database is set for {ports.settings.environment} any more")
    return run_strategy(rollback, DeletionStrategy(context, ports, plan, settings), ports)


def next_deletion_move(snapshot: DeletionSnapshot, progress: DeletionProgress) -> DeletionMove:
    """Decide the next move; the same again when nothing changed in between."""
    if snapshot.is_busy:
        return DeletionMove.WAIT_FOR_OPERATIONS
    if snapshot.branch is None:
        return DeletionMove.DONE
    return DeletionMove.END if progress.why_not is not None else DeletionMove.DELETE


@dataclass
class DeletionStrategy(DatabaseStrategy[DeletionProgress, DeletionSnapshot, DeletionMove]):
    """Delete a branch. It is known by its id, since another branch may have got its name."""

    context: BranchContext
    ports: LeasePorts
    plan: DatabasePlan
    settings: DatabaseSettings
    progress_type: type[DeletionProgress] = field(default=DeletionProgress, init=False)
    is_fenced: bool = field(default=False, init=False)

    def begin(self, rollback: Rollback) -> Rollback:
        """Find the branch by its name, and ask whether it may be deleted."""
        now, neon = self.ports.clock.now(), self.context.neon
        try:
            branch = neon.branch_named(self.plan.branch)
            checks = judge_delete(tuple(neon.branches()), branch, self.settings) if branch is not None else ()
        except CallRefused as refused:
            branch, checks = None, (Check.failed("database-is-accessible", str(refused)),)
        reason = why_refused(rollback, checks)
        if reason is not None:
            return rollback.evolve(database=refused_progress(self.plan.branch, reason, now), wait_seconds=0)
        if branch is None:
            original_branch = OriginalBranch(name=self.plan.branch, protected=False)
            progress = DeletionProgress(started_at=now, before=original_branch)
            progress = progress.add_note(f"branch {self.plan.branch} was gone already").ended(
                DatabaseOutcome.DELETED, now
            )
            return rollback.evolve(database=progress, wait_seconds=0)
        progress = DeletionProgress(started_at=now, before=OriginalBranch.of(branch, ()))
        return rollback.evolve(database=progress, wait_seconds=0)

    def observe(
        self, rollback: Rollback, progress: DeletionProgress
    ) -> tuple[Rollback, DeletionProgress, DeletionSnapshot]:
        """Observe whether the branch exists, and whether an operation of Neon runs on it."""
        branch = self.context.neon.branch(progress.before.id or "")
        status = operation_status(progress, (branch,), self.context, self.ports.clock.now())
        if branch is None and progress.data_change_announced_at is None:
            progress = progress.add_note(f"branch {progress.before.name} was deleted, and not by this rollback")
        return rollback, progress, DeletionSnapshot(branch=branch, is_busy=status == "running")

    def find_objection(self, snapshot: DeletionSnapshot, progress: DeletionProgress) -> str | None:  # noqa: ARG002
        """Return None: no state of the branch prevents its deletion."""
        return None

    def may_still_arrive(self, progress: DeletionProgress) -> bool:
        """Whether the deletion's request may still reach Neon."""
        return may_still_arrive(progress, self.context, self.ports)

    def clear_unmade_change(self, snapshot: DeletionSnapshot, progress: DeletionProgress) -> DeletionProgress:
        """Drop the announcement of the deletion if the branch exists."""
        is_there = snapshot.branch is not None and not snapshot.is_busy
        return progress.evolve(data_change_announced_at=None) if is_there else progress

    def next_action(self, snapshot: DeletionSnapshot, progress: DeletionProgress) -> DeletionMove:
        """Decide the next move."""
        return next_deletion_move(snapshot, progress)

    def act(
        self, rollback: Rollback, progress: DeletionProgress, action: DeletionMove, snapshot: DeletionSnapshot
    ) -> Rollback:
        """Make the move."""
        now = self.ports.clock.now()
        match action:
            case DeletionMove.DELETE if snapshot.branch is not None:
                progress, branch_id = progress.record_move(action, now), snapshot.branch.id
                change = DatabaseChange[DeletionProgress](
                    action,
                    lambda: (operations_of(self.context.neon.delete_branch(branch_id)), {}),
                    announced={"data_change_announced_at": progress.data_change_announced_at or now},
                    unsent={"data_change_announced_at": None},
                )
                return make_change(rollback, progress, change, self.context, self.ports)
            case DeletionMove.DONE:
                return rollback.evolve(database=progress.ended(DatabaseOutcome.DELETED, now), wait_seconds=0)
            case DeletionMove.END:
                return end_unsuccessfully(rollback, progress, self.ports)
            case _:
                return rollback.evolve(database=progress, wait_seconds=self.ports.settings.policy.poll_seconds)
