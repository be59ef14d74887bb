"""Fence (rule 8): no process can write to the branch any more, and only then is the end of its log read.

What is owed is announced first, for all writers at once: an open obligation is the intent of the change that it is
about. Putting it back is `put_back`, as for every obligation.
"""

from datetime import timedelta

from rollback.model.database_content import ClientSession
from rollback.model.database_progress import DatabaseProgress
from rollback.model.errors import LeaseLost
from rollback.model.rollback import Obligation, ObligationKind, Rollback
from rollback.model.service_move import Move, next_move_at_zero
from rollback.model.settings import ServiceSettings
from rollback.steps.ports import World
from rollback.steps.restoring import Restoring
from rollback.steps.service import at_zero
from rollback.steps.service_changes import assert_lease, not_owed_yet
from rollback.steps.time_at_zero import with_services_at_zero


def fence(rollback: Rollback, progress: DatabaseProgress, restoring: Restoring, world: World) -> Rollback:
    """One look at the writers and the branch, at most one change. It stands once `progress.head` is set.

    Raises:
        LeaseLost: the lease is another's, or ends before the function does.
        ComeBackLater: the database is waking up.
    """
    now, target, policy = world.clock.now(), restoring.target, world.settings.policy
    announced = _not_announced_yet(rollback, target.writers, world)
    if announced:
        return rollback.but(database=progress, obligations=(*rollback.obligations, *announced), wait_seconds=0)
    moves = {service.name: _move(service, world) for service in target.writers}
    for service in target.writers:
        if moves[service.name] in (Move.SUSPEND_SCALING, Move.SCALE_TO_ZERO):
            assert_lease(rollback, world, world.settings.policy.database_timeout_seconds)
            _stop(service, moves[service.name], world)
            return rollback.but(database=progress.but(stopped_at=None), wait_seconds=0)
    running = [name for name, move in moves.items() if move is Move.WAIT_FOR_STOPPED]
    progress = with_services_at_zero(progress, [name for name in moves if name not in running], now)
    if running:
        progress = progress.but(stopped_at=None)
        if now - progress.started_at > timedelta(minutes=target.fence_timeout_minutes):
            why = f"tasks of {', '.join(running)} did not stop in {target.fence_timeout_minutes:g} minutes"
            progress = progress.given_up(why, now)
        return rollback.but(database=progress, wait_seconds=policy.poll_seconds)
    progress = progress.but(stopped_at=progress.stopped_at or now)
    address = restoring.address(target.branch_id)
    foreign = restoring.sql.client_sessions(address)
    if not foreign:
        return rollback.but(database=progress.but(head=restoring.sql.head(address)), wait_seconds=0)
    assert progress.stopped_at is not None  # noqa: S101 - set above
    if now - progress.stopped_at >= timedelta(seconds=target.session_grace_seconds):
        progress = progress.given_up(_unknown_writers(foreign, restoring), now)
    return rollback.but(database=progress, wait_seconds=policy.poll_seconds)


def stands(writers: tuple[ServiceSettings, ...], world: World) -> bool:
    """Whether every writer is still at zero tasks, and nothing of AWS could start one."""
    return all(_move(service, world) is Move.START_FROM_ZERO for service in writers)


def hold_writers(rollback: Rollback, writers: tuple[ServiceSettings, ...], world: World) -> None:
    """The leases of the other writers' services too: their outage is our doing, and nobody may roll them back now.

    Held on until the service starts again (`keep_stopped_held`); `put_back` gives each back with its last obligation.

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


def keep_stopped_held(rollback: Rollback, world: World) -> frozenset[str]:
    """Hold on to the other services that stand at zero for us: their alarms are red by our doing until they start.

    Those whose lease somebody else has by now are returned: it ran out, and they are in that one's hands.

    Raises:
        LeaseLost: one ran out at this moment; call again.
    """
    now = world.clock.now()
    until = now + timedelta(minutes=world.settings.policy.lease_minutes)
    lost = set()
    for name in sorted({owed.service for owed in rollback.open_obligations() if owed.service is not None}):
        lease = world.ledger.acquire(name, rollback.id, now, until)
        if lease is None:
            lost.add(name)
        else:
            world.ledger.renew(lease, now, until)
    return frozenset(lost)


def _move(service: ServiceSettings, world: World) -> Move:
    return next_move_at_zero(at_zero(service, world.services.look(service), world))


def _stop(service: ServiceSettings, move: Move, world: World) -> None:
    if move is Move.SCALE_TO_ZERO:
        world.services.update(service, desired_count=0)
        return
    scalable = world.scaling.look(service)
    if scalable is not None:
        world.scaling.put(service, scalable.all_suspended())


def _not_announced_yet(
    rollback: Rollback, writers: tuple[ServiceSettings, ...], world: World
) -> tuple[Obligation, ...]:
    """Put back in reverse: the first writer's before the others', each one's tasks before its scaling (rule 2)."""
    owed: list[Obligation] = []
    for service in reversed(writers):
        of = None if service.name == rollback.service_name else service.name
        scalable = world.scaling.look(service)
        if scalable is not None and scalable.is_active:
            owed.append(Obligation(kind=ObligationKind.SCALING, before=scalable.model_dump(), service=of))
        desired = world.services.look(service).desired_count
        owed.append(Obligation(kind=ObligationKind.FENCE, before={"desired_count": desired}, service=of))
    return tuple(new for one in owed if (new := not_owed_yet(one, rollback)).before)


def _unknown_writers(foreign: tuple[ClientSession, ...], restoring: Restoring) -> str:
    who = ", ".join(
        sorted({f"{s.application or 'unnamed'} as {s.role} from {s.address or 'unknown'}" for s in foreign})
    )
    known = ", ".join(service.name for service in restoring.target.writers)
    return (
        f"all tasks of {known} have stopped, and somebody is still connected to the database: {who}; add the service "
        "to the writers in the settings, or end the connection, and start again; the database was not touched"
    )
