"""Fence (rule 8): no process can write to the branch any more, and only then is the end of its log read.

What is owed is announced first, for all writers at once: an open obligation is the intent of the change that it is
about. Putting it back is `put_back`, as for every obligation.
"""

from contextlib import suppress
from datetime import timedelta

from rollback.database.changes.fence_sessions import list_connected_writers, wait_for_sessions_to_end
from rollback.database.preflight.context import RestoreContext
from rollback.domain.database.progress import DatabaseProgress
from rollback.domain.rollback import Obligation, ObligationKind, Rollback
from rollback.domain.settings.database import branch_key
from rollback.domain.settings.environment import ServiceSettings
from rollback.errors import LeaseLost
from rollback.leases.guard import assert_lease
from rollback.ports.world import World
from rollback.service.drain_status import record_services_at_zero
from rollback.service.next_action import ServiceMove, next_restart_move
from rollback.service.reconciler import read_drain_status


def fence(rollback: Rollback, progress: DatabaseProgress, restoring: RestoreContext, world: World) -> Rollback:
    """One look at the writers and the branch, at most one change. It stands once `progress.head` is set.

    Raises:
        LeaseLost: the lease is another's, or ends before the function does.
        RetryLater: the database is waking up.
    """
    now, target, policy = world.clock.now(), restoring.target, world.settings.policy
    announced = _obligations_to_announce(rollback, target.writers, world)
    if announced:
        return rollback.evolve(database=progress, obligations=(*rollback.obligations, *announced), wait_seconds=0)
    moves = {service.name: _next_fence_move(service, world) for service in target.writers}
    for service in target.writers:
        if moves[service.name] in (ServiceMove.SUSPEND_SCALING, ServiceMove.SCALE_TO_ZERO):
            assert_lease(rollback, world, world.settings.policy.database_timeout_seconds)
            _stop_service(service, moves[service.name], world)
            return rollback.evolve(database=progress.evolve(stopped_at=None), wait_seconds=0)
    running = [name for name, move in moves.items() if move is ServiceMove.WAIT_FOR_STOPPED]
    progress = record_services_at_zero(progress, [name for name in moves if name not in running], running, now)
    if running:
        progress = progress.evolve(stopped_at=None)
        if now - (progress.previewed_at or progress.started_at) > timedelta(minutes=target.fence_timeout_minutes):
            why = f"tasks of {', '.join(running)} did not stop in {target.fence_timeout_minutes:g} minutes"
            progress = progress.mark_failed(why, now)
        return rollback.evolve(database=progress, wait_seconds=policy.poll_seconds)
    if progress.stopped_at is None:  # saved before SQL is asked, which may not answer
        return rollback.evolve(database=progress.evolve(stopped_at=now), wait_seconds=0)
    return wait_for_sessions_to_end(rollback, progress, restoring, world)


def recheck_fence(
    rollback: Rollback,
    progress: DatabaseProgress,
    restoring: RestoreContext,
    world: World,
    *,
    sessions_too: bool = True,
) -> DatabaseProgress | None:
    """Look again immediately before the data is changed; None: the fence stands.

    Tasks that somebody started may have gone through a pooler: the compute may be restarted once more for them.
    """
    if not is_fence_complete(restoring.target.writers, world):
        again = progress.evolve(head=None, stopped_at=None, intent=None)
        return again.evolve(restarted_at=None, restart_ids=(), restart_finished_at=None, restart_refused=None)
    if sessions_too and list_connected_writers(rollback, progress, restoring)[0]:
        return progress.evolve(head=None, stopped_at=None, intent=None)
    return None


def is_fence_complete(writers: tuple[ServiceSettings, ...], world: World) -> bool:
    """Whether every writer is still at zero tasks, and nothing of AWS could start one."""
    return all(_next_fence_move(service, world) is ServiceMove.START_FROM_ZERO for service in writers)


def hold_writer_leases(rollback: Rollback, writers: tuple[ServiceSettings, ...], world: World) -> None:
    """The leases of the other writers' services too: their outage is our doing, and nobody may roll them back now.

    Held on until the service starts again (`renew_leases_of_stopped_services`); `put_back` gives each back with its
    last obligation.

    Raises:
        LeaseLost: somebody else has one.
    """
    now = world.clock.now()
    until = now + timedelta(minutes=world.settings.policy.lease_minutes)
    for service in writers:
        if service.name == rollback.service_name:
            continue  # whoever walks the rollback renews that
        lease = world.ledger.acquire(service.name, rollback.id, now, until)
        if lease is None:
            raise LeaseLost(f"{service.name} writes to the branch, and another rollback holds the lease on it")
        world.ledger.renew(lease, now, until)


def renew_leases_of_stopped_services(rollback: Rollback, world: World) -> frozenset[str]:
    """Hold on to the other services that stand at zero for us: their alarms are red by our doing until they start.

    Those whose lease somebody else has by now are returned: it ran out, and they are in that one's hands.

    Raises:
        LeaseLost: one ran out at this moment; call again.
    """
    now = world.clock.now()
    until = now + timedelta(minutes=world.settings.policy.lease_minutes)
    lost, ran_out = set(), None
    for name in sorted({owed.service for owed in rollback.open_obligations() if owed.service is not None}):
        lease = world.ledger.acquire(name, rollback.id, now, until)
        if lease is None:
            lost.add(name)
            continue
        try:
            world.ledger.renew(lease, now, until)
        except LeaseLost as error:  # the others are held on to all the same
            ran_out = error
    if ran_out is not None:
        raise ran_out
    return frozenset(lost)


def renew_leases_while_concluding(rollback: Rollback, world: World) -> None:
    """Renew every lease that a rollback still needs while Neon or ECS is asked what became of its changes.

    Nothing is put back meanwhile, and `put_back` renews them only then: without this, another rollback might begin on a
    service that stands at zero for us, or on the branch. What somebody else has by now is left to them.
    """
    if not rollback.open_obligations():
        return
    now = world.clock.now()
    until = now + timedelta(minutes=world.settings.policy.lease_minutes)
    own = world.ledger.acquire(rollback.service_name, rollback.id, now, until)
    if own is None:
        return
    with suppress(LeaseLost):
        world.ledger.renew(own, now, until)
    planned = rollback.plan.database if rollback.plan is not None else None
    if planned is not None and world.settings.database is not None:
        of_branch = branch_key(world.settings.database.project_id, planned.branch)
        lease = world.ledger.acquire(of_branch, rollback.id, now, until)
        if lease is not None:
            with suppress(LeaseLost):
                world.ledger.renew(lease, now, until)
    with suppress(LeaseLost):
        renew_leases_of_stopped_services(rollback, world)


def _next_fence_move(service: ServiceSettings, world: World) -> ServiceMove:
    return next_restart_move(read_drain_status(service, world.services.describe(service), world))


def _stop_service(service: ServiceSettings, move: ServiceMove, world: World) -> None:
    if move is ServiceMove.SCALE_TO_ZERO:
        world.services.update(service, desired_count=0)
        return
    scalable = world.scaling.describe(service)
    if scalable is not None:
        world.scaling.put(service, scalable.all_suspended())


def _obligations_to_announce(
    rollback: Rollback, writers: tuple[ServiceSettings, ...], world: World
) -> tuple[Obligation, ...]:
    """Put back in reverse: the first writer's before the others', each one's tasks before its scaling (rule 2)."""
    owed: list[Obligation] = []
    for service in reversed(writers):
        of = None if service.name == rollback.service_name else service.name
        scalable = world.scaling.describe(service)
        if scalable is not None and scalable.is_active:
            owed.append(Obligation(kind=ObligationKind.SCALING, before=scalable.model_dump(), service=of))
        desired = world.services.describe(service).desired_count
        owed.append(Obligation(kind=ObligationKind.FENCE, before={"desired_count": desired}, service=of))
    return rollback.keep_unrecorded(owed)
