"""Check the source of a reset, an undo or a recreate by SQL before any service is stopped.

The target and each writer's release must be able to work with the source's tables.
"""

from contextlib import suppress
from datetime import timedelta
from functools import partial

from rollback.check import Check
from rollback.database.preflight.branch_context import BranchContext
from rollback.database.preflight.own_operations import is_compute_operation
from rollback.database.preflight.preflight import is_refused_despite_force
from rollback.domain.rollback import Rollback
from rollback.errors import CallRefused
from rollback.intents.announce import send_under_lease
from rollback.leases.ports import LeasePorts
from rollback.ports.holders import HasClock
from rollback.resources.database.errors import AlreadyExists, OutcomeUnknown, RetryLater

_COMPUTE_START_LIMIT = timedelta(minutes=2)  # later, an answer by SQL is enough


class SourceHasNoCompute(RetryLater):
    """The source has no compute yet. One is about to be made, or is starting: ask again soon."""

    def __init__(self, reason: str, announces: str | None = None) -> None:
        """Store the reason; `announces` is the branch that gets a compute by the next call, once that is recorded."""
        super().__init__(reason, retry_after_seconds=0 if announces is not None else None)
        self.announces = announces


def judge_source(
    rollback: Rollback,
    earlier_checks: tuple[Check, ...],
    source_branch_id: str | None,
    context: BranchContext,
    ports: LeasePorts,
) -> tuple[Check, ...]:
    """Check the source's head by SQL; no check if the earlier ones refuse already.

    Neon creates a backup without a compute, and no SQL reaches such a branch. So the source gets a compute, as in the
    data-loss analysis. A second request for a compute is refused, and a compute changes no data.

    Args:
        rollback: the document.
        earlier_checks: the checks that were made before.
        source_branch_id: Neon's id of the source; None: there is none to check.
        context: the branch, Neon and SQL.
        ports: the other ports.

    Raises:
        RetryLater: the source does not answer yet.
        LeaseLost: another rollback holds the lease, or the lease ends before the function does.
    """
    if source_branch_id is None or is_refused_despite_force(earlier_checks):
        return ()
    try:
        if not context.neon.endpoints(source_branch_id):
            _make_compute(rollback, source_branch_id, context, ports)
        _wait_for_compute(source_branch_id, context, ports)
        address = context.address(source_branch_id)
        schema, migrations = context.sql.live_schema(address), context.sql.migrations(address)
    except CallRefused as refused:
        return (Check.failed("source-answers", f"{source_branch_id}: {refused}"),)
    answers = Check.passed("source-answers", f"the tables of {source_branch_id} were read")
    return (answers, *context.check_tables(schema, migrations))


def _make_compute(rollback: Rollback, source_branch_id: str, context: BranchContext, ports: LeasePorts) -> None:
    if rollback.source_compute_branch_id != source_branch_id:
        raise SourceHasNoCompute(f"a compute of {source_branch_id} is to be made", announces=source_branch_id)
    with suppress(AlreadyExists, OutcomeUnknown):  # the next round finds the compute, or makes it
        send_under_lease(
            rollback,
            partial(context.neon.create_endpoint, source_branch_id),
            ports,
            ports.settings.policy.database_timeout_seconds,
        )
    raise SourceHasNoCompute(f"a compute of {source_branch_id} is being made")


def _wait_for_compute(source_branch_id: str, context: BranchContext, ports: HasClock) -> None:
    """Wait while the compute starts and services run: until then Neon answers changes of the project with 423."""
    now = ports.clock.now()
    for operation in context.neon.operations_since(now - _COMPUTE_START_LIMIT):
        if operation.branch_id != source_branch_id or not is_compute_operation(operation) or operation.is_over(now):
            continue
        if not context.neon.operation(operation.id).is_over(now):
            raise SourceHasNoCompute(f"the compute of {source_branch_id} is being started")
