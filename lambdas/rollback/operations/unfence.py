"""Unfence: put back what a rollback changed around one service and its branch, and handed to an operator.

The same looks and changes as Conclude makes (`obligation_kinds.restore_setting`), on a person's word. One call does
what is safe now: scaling has to wait until the tasks run (rule 2).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from rollback.conclusion.obligation_kinds import ensure_branch_protected, restore_setting
from rollback.domain.escalation import EscalationLevel
from rollback.domain.lease import Lease
from rollback.domain.operator import Operator
from rollback.domain.rollback import Obligation, ObligationKind, Rollback, update_obligation
from rollback.domain.settings.environment import ServiceSettings
from rollback.errors import Conflict, ExternalServiceError, InvalidRequest
from rollback.identity.identify import find_known_release, identify_running
from rollback.leases.holder import describe_holder, find_live_lease, find_rollback
from rollback.operations.pause_abort_unlock import TRIES, record_operator_action
from rollback.operations.quarantine import ROLLED_BACK_STATES
from rollback.ports.world import World
from rollback.resources.aws.ecs_service import ScalableTarget, ServiceView
from rollback.service.actions import disable_ecs_rollback


@dataclass(frozen=True)
class OpenObligation:
    """One obligation of one service that an operator has to put back, and the rollback that left it.

    Attributes:
        service: the service that was changed; another one may have the rollback.
        rollback: None: its record can't be read, and only what it owes is known.
    """

    service: ServiceSettings
    rollback_id: str
    rollback_service: str
    rollback: Rollback | None
    obligation: Obligation

    def __str__(self) -> str:
        """For an operator."""
        of = f" of {self.service.name}" if self.rollback_service != self.service.name else ""
        return f"{self.obligation.kind}{of} (was {self.obligation.before}, {self.rollback_id})"


@dataclass(frozen=True)
class UnfenceResult:
    """What was put back, what still has to be, and how the service stands."""

    done: tuple[OpenObligation, ...]
    left: tuple[OpenObligation, ...]
    stands: str


def list_obligations_of_operator(service_name: str, world: World) -> list[OpenObligation]:
    """List what an operator has to put back on a service, in the order to do it, whichever service's rollback left it.

    Also what a rollback owes whose record can't be read: nothing of ours goes on with it.
    """
    debts = []
    for owed in world.ledger.owed(service_name).items:
        rollback = find_rollback(owed.rollback_id, world)
        service = service_settings(service_name, rollback, world)
        left = owed.obligations if rollback is None else owed.left_to_operator()
        debts += [OpenObligation(service, owed.rollback_id, owed.rollback_service, rollback, one) for one in left]
    return debts


def service_settings(service_name: str, rollback: Rollback | None, world: World) -> ServiceSettings:
    """Settings of a service; those that the rollback carries, where the environment has it no more.

    Raises:
        InvalidRequest: neither has it.
    """
    if service_name not in world.settings.service_names and rollback is not None and rollback.settings is not None:
        return rollback.settings.service(service_name)
    return world.settings.service(service_name)


def unfence(service_name: str, operator: Operator, world: World, *, force: bool = False) -> UnfenceResult:
    """Put back what is safe to put back now on one service, under its lease; called again it goes on.

    Each service is put back by itself: one that can't be started keeps no other one waiting.

    Args:
        force: also beside a rollback that is going on, and over what speaks against it.

    Raises:
        InvalidRequest: nothing was handed over, a rollback is going on, or something speaks against it.
    """
    debts = list_obligations_of_operator(service_name, world)
    lease = find_live_lease(service_name, world)
    if not debts:
        world.settings.service(service_name)  # a name that is not known is the likelier cause
        going_on = f"; {describe_holder(lease, world)}" if lease is not None else ""
        raise InvalidRequest(f"nothing of {service_name} was handed to an operator{going_on}; nothing was changed")
    if not force:
        _refuse_beside_live_lease(lease, world)
        against = [why for one in debts for why in _find_objections(one.obligation, one.service, world)]
        if against:
            raise InvalidRequest(f"{'; '.join(against)}; --force puts it back all the same; nothing was changed")
    record_operator_action("unfence", service_name, operator, world, debts[0].rollback_id)
    held_by = _take_lease(service_name, debts[0].rollback_id, world) if lease is None else None
    try:
        done = list(_discharge_in_order(debts, world))
    finally:
        if held_by is not None:
            world.ledger.release_lease(service_name, held_by.holder)
    left = tuple(one for one in debts if one not in done)
    _clear_unreadable(done, left, world)
    return UnfenceResult(
        tuple(done), left, _describe_service(debts[0].service, world.services.describe(debts[0].service))
    )


def _clear_unreadable(done: list[OpenObligation], left: tuple[OpenObligation, ...], world: World) -> None:
    """A record that can't be read can't be marked: with its last debt it is forgotten."""
    for one in done:
        if one.rollback is None and all(other.rollback_id != one.rollback_id for other in left):
            world.ledger.clear_unreadable(one.service.name, one.rollback_id)


def _discharge_in_order(owed: list[OpenObligation], world: World) -> Iterator[OpenObligation]:
    """One after the other, each seen to be put back before the next: scaling after the fence.

    A branch's protection waits for nothing, and nothing for it: Neon may not let itself be asked from here.
    """
    for one in owed:
        service_world = world.for_settings(one.rollback.settings if one.rollback is not None else None)
        if one.obligation.kind is ObligationKind.BRANCH_PROTECTION and _is_protected(one.obligation, service_world):
            _mark_discharged(one, world)
            yield one
    for one in owed:
        if one.obligation.kind is ObligationKind.BRANCH_PROTECTION:
            continue
        service = one.service
        if not any(restore_setting(one.obligation, service, world.services.describe(service), world) for _ in range(2)):
            return
        _mark_discharged(one, world)
        yield one


def _is_protected(owed: Obligation, world: World) -> bool:
    try:
        return any(ensure_branch_protected(owed, world.databases) for _ in range(2))
    except (ExternalServiceError, InvalidRequest):  # no database is set any more
        return False


def _mark_discharged(one: OpenObligation, world: World) -> None:
    """Discharged, in the document that owes it."""
    if one.rollback is None:
        return
    for _ in range(TRIES):
        rollback = world.ledger.read(one.rollback_service, one.rollback_id)
        if one.obligation not in rollback.obligations:
            return  # somebody else did
        try:
            world.ledger.save(update_obligation(rollback, one.obligation, discharged_at=world.clock.now()))
        except Conflict:
            continue
        return
    raise Conflict(f"{one} is put back, but its document kept changing; call it again to mark it")


def _describe_service(service: ServiceSettings, view: ServiceView) -> str:
    said = f"{view.running_count} of {view.desired_count} tasks run, rollout {view.primary.rollout_state}"
    if view.primary.rollout_state != "FAILED":
        return said
    again = f"aws ecs update-service --cluster {service.cluster} --service {service.ecs_service} --force-new-deployment"
    return f"{said}: a failed deployment starts no tasks, `{again}` makes another one"


def _refuse_beside_live_lease(lease: Lease | None, world: World) -> None:
    if lease is not None:
        raise InvalidRequest(
            f"a rollback is going on: {describe_holder(lease, world)}; wait for it, or end it with `rollback abort "
            f"{world.settings.environment} {lease.holder}`, or add --force; nothing was changed"
        )


def _take_lease(service_name: str, rollback_id: str, world: World) -> Lease:
    """In the name of the rollback that left it: no other begins meanwhile."""
    now = world.clock.now()
    until = now + timedelta(minutes=world.settings.policy.lease_minutes)
    lease = world.ledger.acquire(service_name, rollback_id, now, until)
    if lease is None:
        raise Conflict(f"a rollback of {service_name} has just begun; nothing was changed, look and call again")
    return world.ledger.renew(lease, now, until)


def _find_objections(owed: Obligation, service: ServiceSettings, world: World) -> Iterator[str]:
    """Somebody changed it since, and would lose that; or what would be started is known to be bad."""
    view = world.services.describe(service)
    match owed.kind:
        case ObligationKind.FENCE if view.desired_count < int(owed.before["desired_count"]):
            yield from _find_bad_release(service, view, world)
        case ObligationKind.SCALING:
            before, now = ScalableTarget.model_validate(owed.before), world.scaling.describe(service)
            if now not in (before, before.all_suspended()):
                yield f"scaling is {now!r} now, neither what was recorded ({before!r}) nor what was left of it"
        case ObligationKind.DEPLOYMENT_CONFIGURATION:
            known = (
                owed.before,
                *(disable_ecs_rollback(owed.before, escalation_level) for escalation_level in EscalationLevel),
            )
            for part in owed.before:
                now_is = view.deployment_configuration.get(part)
                if all(now_is != configuration.get(part) for configuration in known):
                    yield f"{part} is {now_is} now, neither what was recorded nor what was left of it"


def _find_bad_release(service: ServiceSettings, view: ServiceView, world: World) -> Iterator[str]:
    release = find_known_release(service.name, identify_running(view, service, world), world)
    if release is not None and release.state in ROLLED_BACK_STATES:
        emergency = f"rollback start {world.settings.environment} --type emergency --service {service.name}"
        yield (
            f"{release.version} would be started, which is {release.state} ({release.state_reason}): "
            f"`{emergency}` starts the last known good instead"
        )
