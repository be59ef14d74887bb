"""Send changes of a database branch: announced in one round, sent in the next (`rollback.intents.announce`).

A strategy describes each change as a `DatabaseChange`. A lost answer, a busy project, a throttled call and a refusal
are treated here, for all strategies. The next observation shows the effect of a lost answer.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Generic, TypeVar

from rollback.database.preflight.branch_context import BranchContext
from rollback.domain.database.progress import DatabaseProgress
from rollback.domain.obligation import Obligation
from rollback.domain.rollback import Rollback
from rollback.errors import CallRefused, ExternalServiceError, Throttled
from rollback.intents.announce import announce, seconds_to_wait, send_under_lease
from rollback.leases.ports import LeasePorts
from rollback.ports.holders import HasClock
from rollback.resources.database.errors import AlreadyExists, OutcomeUnknown, RetryLater
from rollback.resources.database.neon import BranchChange, Operation

ProgressT = TypeVar("ProgressT", bound=DatabaseProgress)
SendResult = tuple[Sequence[Operation], dict[str, Any]]
"""Operations that Neon began, and fields of the progress that follow from its answer."""


def _tolerate_nothing(progress: ProgressT, refused: CallRefused) -> ProgressT | None:  # noqa: ARG001
    return None


def _keep(progress: ProgressT, failure: ExternalServiceError) -> ProgressT:  # noqa: ARG001
    return progress


@dataclass(frozen=True)
class DatabaseChange(Generic[ProgressT]):
    """One change of a branch, of its compute, of its secret or of its data.

    Attributes:
        action: name of the change in the announcement.
        send: makes the call.
        announced: fields of the progress that hold from the announcement on.
        unsent: the same fields as before the announcement, for when the change was not made.
        obligations: settings to restore later, recorded with the announcement.
        is_repeatable: sent again, the change does no harm. Its announcement stands until an answer comes.
        tolerate_refusal: goes on without the change after a refusal; None: the change is needed.
        after_lost_answer: notes a failure after which the change may have been made.
        after_retry_later: decides whether to go on without the change while Neon is busy.
    """

    action: str
    send: Callable[[], SendResult]
    announced: Mapping[str, object] = field(default_factory=dict)
    unsent: Mapping[str, object] = field(default_factory=dict)
    obligations: tuple[Obligation, ...] = ()
    is_repeatable: bool = False
    tolerate_refusal: Callable[[ProgressT, CallRefused], ProgressT | None] = _tolerate_nothing
    after_lost_answer: Callable[[ProgressT, ExternalServiceError], ProgressT] = _keep
    after_retry_later: Callable[[ProgressT, RetryLater], ProgressT] = _keep


def make_change(
    rollback: Rollback,
    progress: ProgressT,
    change: DatabaseChange[ProgressT],
    context: BranchContext,
    ports: LeasePorts,
) -> Rollback:
    """Announce a change, or send the announced one.

    Raises:
        LeaseLost: another rollback holds the lease, or the lease ends before the function does.
        ExternalServiceError: Neon, Postgres or AWS could not be asked (`rollback.resources.database.errors`).
    """
    if not progress.is_announced(change.action):
        return announce(
            rollback, "database", progress, change.action, ports, obligations=change.obligations, **change.announced
        )
    policy = ports.settings.policy
    poll, not_made = policy.poll_seconds, progress.evolve(intent=None, **change.unsent)
    try:
        operations, fields = send_under_lease(rollback, change.send, ports, policy.database_timeout_seconds)
    except (OutcomeUnknown, AlreadyExists) as lost:  # the request may still arrive; the next observation shows that
        unanswered = progress if change.is_repeatable else _note_lost_answer(progress, ports)
        wait_seconds = max(poll, context.settings.lost_answer_seconds)
        return rollback.evolve(database=change.after_lost_answer(unanswered, lost), wait_seconds=wait_seconds)
    except RetryLater as later:
        waiting_progress = progress if change.is_repeatable else change.after_retry_later(not_made, later)
        return rollback.evolve(database=waiting_progress, wait_seconds=seconds_to_wait(later, ports))
    except Throttled:
        return rollback.evolve(database=progress if change.is_repeatable else not_made, wait_seconds=poll)
    except CallRefused as refused:
        tolerated_progress = change.tolerate_refusal(not_made, refused)
        if tolerated_progress is not None:
            return rollback.evolve(database=tolerated_progress, wait_seconds=0)
        return rollback.evolve(database=not_made.mark_failed(str(refused), ports.clock.now()), wait_seconds=poll)
    ids = (*progress.operation_ids, *(operation.id for operation in operations))
    sent_progress = progress.evolve(**{"intent": None, "operation_ids": ids, "refused_since": None, **fields})
    return rollback.evolve(database=sent_progress, wait_seconds=0 if change.is_repeatable else poll)


def _note_lost_answer(progress: ProgressT, ports: HasClock) -> ProgressT:
    """Count the time in which a lost request may arrive from now.

    The time of the announcement stays: the operations that the request caused began after it, perhaps long before the
    wait for the answer ended.
    """
    if progress.intent is None:
        return progress
    return progress.evolve(intent=progress.intent.model_copy(update={"unanswered_at": ports.clock.now()}))


def may_still_arrive(progress: DatabaseProgress, context: BranchContext, ports: HasClock) -> bool:
    """Whether an announced change, of which no effect is visible yet, may be under way."""
    if progress.intent is None:
        return False
    return ports.clock.now() - progress.intent.last_sent_at < timedelta(seconds=context.settings.lost_answer_seconds)


def operations_of(change: BranchChange | None) -> Sequence[Operation]:
    """Return the operations of a change; none if Neon had nothing left to do."""
    return change.operations if change is not None else ()
