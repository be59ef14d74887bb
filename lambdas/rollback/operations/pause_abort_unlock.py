"""The operator's levers over rollbacks: pause and resume, abort, unlock.

Each is checked first and written down before it is pulled: an entry says that somebody pulled it, and there is never a
change that nobody is known to have made. Interrupted anywhere, a lever may be pulled again.
"""

from contextlib import suppress

from rollback.domain.operator import Operator, OperatorAction, Pause
from rollback.domain.rollback import Outcome, Rollback, service_of
from rollback.errors import Conflict, InvalidRequest, RollbackError
from rollback.leases.holder import describe_holder, find_live_lease, holder_of, why_lease_is_alive
from rollback.leases.successor import successor_of
from rollback.ports.world import World

TRIES = 5  # of a compare-and-set against a step that saves at the same moment


def record_operator_action(verb: str, service_name: str, operator: Operator, world: World, subject: str = "") -> None:
    """An entry in the operators' record."""
    world.ledger.record_action(
        OperatorAction(
            service=service_name,
            at=world.clock.now(),
            verb=verb,
            subject=subject,
            by=operator.name,
            reason=operator.reason.strip(),
        )
    )


def pause(service_name: str, operator: Operator, world: World) -> str:
    """No automatic rollback until `resume`; one that is going on goes on.

    Raises:
        InvalidRequest: paused already.
    """
    _refuse_second_pause(world.ledger.pause(service_name))
    ours = Pause(service=service_name, since=world.clock.now(), by=operator.name, reason=operator.reason.strip())
    record_operator_action("pause", service_name, operator, world)
    world.ledger.put_pause(ours)
    stands = world.ledger.pause(service_name)
    if stands != ours:  # two people at once: the first one's stands
        _refuse_second_pause(stands)
    said = f"automatic rollbacks of {service_name} are paused; people can still start them"
    lease = find_live_lease(service_name, world)
    if lease is None:
        return said
    return f"{said}; {lease.holder} goes on: `rollback abort {world.settings.environment} {lease.holder}` ends it"


def resume(service_name: str, operator: Operator, world: World) -> str:
    """Automatic rollbacks are on again.

    Raises:
        InvalidRequest: not paused.
    """
    stands = world.ledger.pause(service_name)
    if stands is None:
        raise InvalidRequest(f"automatic rollbacks of {service_name} are not paused; nothing was changed")
    record_operator_action("resume", service_name, operator, world)
    world.ledger.end_pause(service_name)
    return (
        f"automatic rollbacks of {service_name} are on again (paused since {stands.since:%Y-%m-%d %H:%M} UTC by "
        f"{stands.by}); an alarm that is still red is looked at within minutes"
    )


def abort(rollback_id: str, operator: Operator, world: World) -> Rollback:
    """End an open rollback: its outcome by compare-and-set, then its execution; what is left to do is Conclude's.

    Whoever walks it finds the outcome and goes to Conclude; what a step was about to write is refused, and a call that
    it had announced is waited for there. Stopping the execution only saves it the way.

    Raises:
        InvalidRequest: no such rollback, or it has ended.
        Conflict: it kept changing; call again.
    """
    _find_abortable(rollback_id, world)
    record_operator_action("abort", service_of(rollback_id), operator, world, rollback_id)
    for _ in range(TRIES):
        rollback = _find_abortable(rollback_id, world)
        if rollback.outcome is not None:  # aborted before, and the abort was interrupted
            break
        ended = rollback.evolve(
            outcome=Outcome.ABORTED,
            reason=f"aborted by {operator}",
            superseded_by=successor_of(rollback, world),
            is_operator_abort=True,
            wait_seconds=0,
        )
        try:
            rollback = world.ledger.save(ended)
        except Conflict:
            continue
        break
    else:
        raise Conflict(f"{rollback_id} changed {TRIES} times while it was being aborted; call it again")
    with suppress(RollbackError):  # it finds the outcome by itself, only later
        world.workflow.stop(rollback.execution, rollback.reason)
    return rollback


def unlock(service_name: str, operator: Operator, world: World, *, force: bool = False) -> str:
    """Give the lease of a rollback back that nobody walks any more.

    Args:
        force: of a living one too. It finds its lease lost, ends as aborted, and stays fenced if it is (rules 3, 9).

    Raises:
        InvalidRequest: there is no lease, or its holder is alive.
    """
    environment, lease = world.settings.environment, world.ledger.lease(service_name)
    if lease is None:
        raise InvalidRequest(f"nobody holds the lease on {service_name}; nothing was changed")
    alive = why_lease_is_alive(lease, world)
    if alive is not None and not force:
        raise InvalidRequest(
            f"{lease.holder} is alive ({alive}): {describe_holder(lease, world)}; end it with `rollback abort "
            f"{environment} "
            f"{lease.holder}`, or take its lease with --force; nothing was changed"
        )
    holder = holder_of(lease, world)
    record_operator_action("unlock", service_name, operator, world, lease.holder)
    if alive is not None and holder is not None:
        _mark_ended_by_operator(holder.id, world)
    world.ledger.release_lease(service_name, lease.holder)
    said = f"the lease on {service_name} is free; {lease.holder} held it"
    if holder is not None and holder.concluded_at is None:
        said += ", and is concluded by the janitor, or gone on with by whoever takes the lease next"
    return said


def _mark_ended_by_operator(rollback_id: str, world: World) -> None:
    """Before the lease is gone: that the rollback finds it lost is no crash.

    Raises:
        Conflict: it kept changing; call again.
    """
    for _ in range(TRIES):
        rollback = world.ledger.read(service_of(rollback_id), rollback_id)
        if rollback.concluded_at is not None or rollback.is_operator_abort:
            return
        with suppress(Conflict):
            world.ledger.save(rollback.evolve(is_operator_abort=True))
            return
    raise Conflict(f"{rollback_id} changed {TRIES} times while its lease was being taken; call it again")


def _refuse_second_pause(stands: Pause | None) -> None:
    if stands is not None:
        raise InvalidRequest(
            f"automatic rollbacks of {stands.service} are paused already, since {stands.since:%Y-%m-%d %H:%M} UTC by "
            f"{stands.by}: {stands.reason}; nothing was changed"
        )


def _find_abortable(rollback_id: str, world: World) -> Rollback:
    environment = world.settings.environment
    try:
        rollback = world.ledger.read(service_of(rollback_id), rollback_id)
    except KeyError as error:
        raise InvalidRequest(
            f"there is no rollback {rollback_id}; `rollback history {environment}` lists them; nothing was changed"
        ) from error
    if rollback.concluded_at is not None or rollback.outcome not in (None, Outcome.ABORTED):
        state = "has ended" if rollback.concluded_at is not None else "is ending"
        raise InvalidRequest(
            f"{rollback_id} {state} already: {rollback.outcome}, {rollback.reason}; there is nothing to abort"
        )
    return rollback
