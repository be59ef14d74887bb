"""The source of a reset, an undo or a recreate is looked at by SQL before anything is stopped.

What is to run afterwards must be able to work with the source's tables, each writer's release among it.
"""

from contextlib import suppress
from datetime import timedelta

from rollback.check import Check
from rollback.database.preflight.context import RestoreContext
from rollback.database.preflight.own_operations import is_compute_operation
from rollback.database.preflight.preflight import is_refused_despite_force
from rollback.domain.rollback import Rollback
from rollback.errors import CallRefused
from rollback.leases.guard import assert_lease
from rollback.ports.world import World
from rollback.resources.database.errors import AlreadyExists, OutcomeUnknown, RetryLater

_COMPUTE_START_LIMIT = timedelta(minutes=2)  # then it is enough that SQL answers


class SourceHasNoCompute(RetryLater):
    """A compute is to be made for it, or was: it can be connected to soon."""

    def __init__(self, why: str, announces: str | None = None) -> None:
        """`announces`: the branch that gets a compute by the next call; kept in the document before."""
        super().__init__(why, retry_after_seconds=0 if announces is not None else None)
        self.announces = announces


def judge_source(
    rollback: Rollback,
    found: tuple[Check, ...],
    source_branch_id: str | None,
    restoring: RestoreContext,
    world: World,
) -> tuple[Check, ...]:
    """Checks on the source's head; none where something speaks against the way back already.

    A backup has no compute, since Neon makes none with it. It is given one, as for the report of lost writes: without
    one nobody could look at what would be on the branch. Asked twice it is refused, and changes no data.

    Args:
        found: what was found before.

    Raises:
        RetryLater: the source does not answer yet.
        LeaseLost: the lease is another's, or ends before the function does.
    """
    if source_branch_id is None or is_refused_despite_force(found):
        return ()
    try:
        if not restoring.databases.endpoints(source_branch_id):
            _make_compute(rollback, source_branch_id, restoring, world)
        _wait_for_compute(source_branch_id, restoring, world)
        address = restoring.address(source_branch_id)
        schema, migrations = restoring.sql.live_schema(address), restoring.sql.migrations(address)
    except CallRefused as refused:
        return (Check.failed("source-answers", f"{source_branch_id}: {refused}"),)
    answers = Check.passed("source-answers", f"{source_branch_id} was looked at")
    return (answers, *restoring.judge_preview(schema, migrations))


def _make_compute(rollback: Rollback, source_branch_id: str, restoring: RestoreContext, world: World) -> None:
    if rollback.source_compute_branch_id != source_branch_id:
        raise SourceHasNoCompute(f"a compute of {source_branch_id} is to be made", announces=source_branch_id)
    assert_lease(rollback, world, world.settings.policy.database_timeout_seconds)
    with suppress(AlreadyExists, OutcomeUnknown):  # the next look finds it, or it is made then
        restoring.databases.create_endpoint(source_branch_id)
    raise SourceHasNoCompute(f"a compute of {source_branch_id} is being made")


def _wait_for_compute(source_branch_id: str, restoring: RestoreContext, world: World) -> None:
    """While the compute starts, Neon answers changes of the project with 423: services run on until it has started."""
    now = world.clock.now()
    for listed in restoring.databases.operations_since(now - _COMPUTE_START_LIMIT):
        if listed.branch_id != source_branch_id or not is_compute_operation(listed) or listed.is_over(now):
            continue
        if not restoring.databases.operation(listed.id).is_over(now):
            raise SourceHasNoCompute(f"the compute of {source_branch_id} is being started")
