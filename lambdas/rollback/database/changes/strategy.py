"""The protocol of a strategy: what the engine in `reconcile` asks of a restore, reset, recreate, delete or step down.

One round is `observe`, then `next_action`, then `act`. A strategy makes at most one change in a round. Decisions are
pure functions in the strategy's `next_action.py`. Time limits, leases and the fence are the engine's.
"""

from enum import StrEnum
from typing import Generic, Protocol, TypeVar

from rollback.database.preflight.branch_context import BranchContext
from rollback.domain.database.progress import DatabaseProgress
from rollback.domain.rollback import Rollback

ProgressT = TypeVar("ProgressT", bound=DatabaseProgress)
SnapshotT = TypeVar("SnapshotT")
ActionT = TypeVar("ActionT", bound=StrEnum)


class DatabaseStrategy(Protocol, Generic[ProgressT, SnapshotT, ActionT]):
    """One way to bring a branch where the plan wants it.

    Attributes:
        context: the branch, Neon and SQL.
        progress_type: class of the strategy's progress.
        is_fenced: whether the services that write to the branch are stopped first.
        extra_minutes: time that the strategy may take beyond `restore_timeout_minutes`.
    """

    context: BranchContext
    progress_type: type[ProgressT]
    is_fenced: bool = True
    extra_minutes: float = 0

    def begin(self, rollback: Rollback) -> Rollback:
        """Run the preflight checks. Refuse, ask again later, or store the progress with the branch as it is.

        Raises:
            ExternalServiceError: Neon or AWS could not be asked; nothing was changed, call again.
        """
        ...

    def is_reversible(self, progress: ProgressT) -> bool:
        """Whether everything changed so far can be reverted. Then no move keeps services at zero tasks for long."""
        return not progress.may_have_changed_data

    def observe(self, rollback: Rollback, progress: ProgressT) -> tuple[Rollback, ProgressT, SnapshotT]:
        """Observe Neon, ECS and the secret, and record which announced changes were carried out."""
        ...

    def find_objection(self, snapshot: SnapshotT, progress: ProgressT) -> str | None:
        """Return why the change can't succeed any more; None: it may go on."""
        ...

    def may_still_arrive(self, progress: ProgressT) -> bool:
        """Whether a request of the failed change may still arrive. Then clean-up waits."""
        ...

    def clear_unmade_change(self, snapshot: SnapshotT, progress: ProgressT) -> ProgressT:  # noqa: ARG002
        """Drop the announcement of a failed change of the data that was not made."""
        return progress

    def next_action(self, snapshot: SnapshotT, progress: ProgressT) -> ActionT:
        """Decide the next move; the same again when nothing changed in between."""
        ...

    def act(self, rollback: Rollback, progress: ProgressT, action: ActionT, snapshot: SnapshotT) -> Rollback:
        """Make the move: at most one change, announced first.

        Raises:
            LeaseLost: another rollback holds the lease, or the lease ends before the function does.
            ExternalServiceError: Neon or AWS could not be asked; nothing is lost, call again.
        """
        ...
