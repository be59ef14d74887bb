"""Unfence: put back what a rollback changed around one service and its branch, and handed to an operator.

It reads and changes the same settings as Conclude (`conclusion.obligation_kinds.restore_setting`), at an operator's
request. One call does what is safe now. Scaling has to wait until the tasks run (rule 2: scaling is put back only once
the target runs at count ≥ min).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from rollback.conclusion.obligation_kinds import restore_branch_setting, restore_setting
from rollback.domain.escalation import EscalationLevel
from rollback.domain.lease import Lease
from rollback.domain.obligation import BRANCH_OBLIGATIONS, Obligation, ObligationKind
from rollback.domain.operator import Operator
from rollback.domain.rollback import Rollback
from rollback.domain.settings.environment import ServiceSettings
from rollback.errors import Conflict, ExternalServiceError, InvalidRequest
from rollback.identity.identify import find_known_release, identify_running
from rollback.leases.hold import hold_lease
from rollback.leases.holder import describe_holder, find_live_lease, find_rollback
from rollback.leases.ports import LeasePorts
from rollback.operations.pause_abort_unlock import TRIES, record_operator_action
from rollback.operations.ports import OperatorActionPorts, UnfencePorts
from rollback.operations.quarantine import ROLLED_BACK_STATES
from rollback.ports.holders import HasLedger, HasNeon, HasSettings
from rollback.resources.aws.ecs_service import ScalableTarget, ServiceView
from rollback.service.actions import disable_ecs_rollback


@dataclass(frozen=True)
class OpenObligation:
    """An obligation that an operator has to discharge, and the rollback that left it.

    Attributes:
        service: the service that was changed.
        rollback_id: the rollback that left the obligation.
        rollback_service: the service of that rollback.
        rollback: its record; None: the record can't be read, and only its obligations are known.
        obligation: the obligation.
    """

    service: ServiceSettings
    rollback_id: str
    rollback_service: str
    rollback: Rollback | None
    obligation: Obligation

    def __str__(self) -> str:
        """Describe the obligation for an operator."""
        service = f" of {self.service.name}" if self.rollback_service != self.service.name else ""
        kind = self.obligation.kind.replace("_", " ")
        return f"{kind}{service} (was {self.obligation.before}, {self.rollback_id})"


@dataclass(frozen=True)
class UnfenceResult:
    """Obligations that were discharged, obligations that remain, and the state of the service."""

    discharged: tuple[OpenObligation, ...]
    remaining: tuple[OpenObligation, ...]
    service_state: str


def list_obligations_of_operator(service_name: str, ports: LeasePorts) -> list[OpenObligation]:
    """List the obligations about a service that an operator has to discharge, in order, of rollbacks of any service.

    A rollback whose record can't be read is listed too: no rollback continues it.
    """
    open_obligations = []
    for entry in ports.ledger.obligations(service_name).items:
        rollback = find_rollback(entry.rollback_id, ports)
        service = service_settings(service_name, rollback, ports)
        obligations = entry.obligations if rollback is None else entry.left_to_operator()
        open_obligations += [
            OpenObligation(service, entry.rollback_id, entry.rollback_service, rollback, obligation)
            for obligation in obligations
        ]
    return open_obligations


def service_settings(service_name: str, rollback: Rollback | None, ports: HasSettings) -> ServiceSettings:
    """Settings of a service; from the rollback if the service has left the environment's settings.

    Raises:
        InvalidRequest: neither has the service.
    """
    if service_name not in ports.settings.service_names and rollback is not None and rollback.settings is not None:
        return rollback.settings.service(service_name)
    return ports.settings.service(service_name)


def unfence(service_name: str, operator: Operator, ports: UnfencePorts, *, force: bool = False) -> UnfenceResult:
    """Discharge the obligations about one service that can be discharged safely now, under its lease.

    A later call continues. Each service is unfenced by itself, so that none waits for another that can't be started.

    Args:
        service_name: name of the service.
        operator: the operator, and the reason.
        ports: access to AWS, Neon and the ledger.
        force: unfence beside a live rollback, and despite objections.

    Raises:
        InvalidRequest: no obligation was handed to an operator, a rollback is live, or there are objections.
    """
    open_obligations = list_obligations_of_operator(service_name, ports)
    lease = find_live_lease(service_name, ports)
    if not open_obligations:
        ports.settings.service(service_name)  # an unknown service name is the likelier cause: report the name first
        holder_text = f"; {describe_holder(lease, ports)}" if lease is not None else ""
        raise InvalidRequest(f"no setting of {service_name} was left to an operator{holder_text}; nothing was changed")
    if not force:
        _refuse_beside_live_lease(lease, ports)
        objections = [
            text for item in open_obligations for text in _find_objections(item.obligation, item.service, ports)
        ]
        if objections:
            raise InvalidRequest(
                f"{'; '.join(objections)}; --force puts the setting back nevertheless; nothing was changed"
            )
    record_operator_action("unfence", service_name, operator, ports, open_obligations[0].rollback_id)
    held_lease = _take_lease(service_name, open_obligations[0].rollback_id, ports) if lease is None else None
    try:
        discharged = list(_discharge_in_order(open_obligations, ports))
    finally:
        if held_lease is not None:
            ports.ledger.release_lease(service_name, held_lease.holder)
    remaining = tuple(item for item in open_obligations if item not in discharged)
    _clear_unreadable(discharged, remaining, ports)
    service = open_obligations[0].service
    return UnfenceResult(tuple(discharged), remaining, _describe_service(service, ports.services.describe(service)))


def _clear_unreadable(
    discharged: list[OpenObligation], remaining: tuple[OpenObligation, ...], ports: HasLedger
) -> None:
    """Clear unreadable records whose last obligation is discharged: they can't be marked."""
    for item in discharged:
        if item.rollback is None and all(other.rollback_id != item.rollback_id for other in remaining):
            ports.ledger.clear_unreadable(item.service.name, item.rollback_id)


def _discharge_in_order(open_obligations: list[OpenObligation], ports: UnfencePorts) -> Iterator[OpenObligation]:
    """Discharge one obligation after the other, each confirmed before the next: scaling after the fence.

    A branch's protection is independent of the others, since Neon may not be reachable from the operator's machine.
    """
    for item in open_obligations:
        own_ports = ports.for_settings(item.rollback.settings if item.rollback is not None else None)
        if item.obligation.kind in BRANCH_OBLIGATIONS and _is_branch_restored(item.obligation, own_ports):
            _mark_discharged(item, ports)
            yield item
    for item in open_obligations:
        if item.obligation.kind in BRANCH_OBLIGATIONS:
            continue
        service, obligation = item.service, item.obligation
        # The first call may make the change, the second sees that it was made.
        if not any(restore_setting(obligation, service, ports.services.describe(service), ports) for _ in range(2)):
            return
        _mark_discharged(item, ports)
        yield item


def _is_branch_restored(obligation: Obligation, ports: HasNeon) -> bool:
    try:
        return any(restore_branch_setting(obligation, ports.neon) for _ in range(2))
    except (ExternalServiceError, InvalidRequest):  # the settings have no database any more
        return False


def _mark_discharged(open_obligation: OpenObligation, ports: OperatorActionPorts) -> None:
    """Save the discharge in the rollback that left the obligation."""
    if open_obligation.rollback is None:
        return
    for _ in range(TRIES):
        rollback = ports.ledger.read(open_obligation.rollback_service, open_obligation.rollback_id)
        if open_obligation.obligation not in rollback.obligations:
            return  # another process discharged it
        try:
            ports.ledger.save(rollback.discharge(open_obligation.obligation, ports.clock.now()))
        except Conflict:
            continue
        return
    raise Conflict(
        f"{open_obligation} is put back, but the rollback's document kept changing; repeat the command to record that"
    )


def _describe_service(service: ServiceSettings, view: ServiceView) -> str:
    state = f"{view.running_count} of {view.desired_count} tasks run, rollout {view.primary.rollout_state}"
    if view.primary.rollout_state != "FAILED":
        return state
    command = (
        f"aws ecs update-service --cluster {service.cluster} --service {service.ecs_service} --force-new-deployment"
    )
    return f"{state}: a failed deployment starts no tasks; `{command}` starts another deployment"


def _refuse_beside_live_lease(lease: Lease | None, ports: LeasePorts) -> None:
    if lease is not None:
        raise InvalidRequest(
            f"a rollback is in progress: {describe_holder(lease, ports)}; wait for its end, or end the rollback with "
            f"`rollback abort {ports.settings.environment} {lease.holder} --reason '…'`, or add --force; nothing was "
            "changed"
        )


def _take_lease(service_name: str, rollback_id: str, ports: LeasePorts) -> Lease:
    """Take the lease in the name of the rollback that left the obligation, so that no other rollback begins."""
    lease = hold_lease(service_name, rollback_id, ports)
    if lease is None:
        raise Conflict(
            f"a rollback of {service_name} has just begun; nothing was changed. Run "
            f"`rollback status {ports.settings.environment}`, then repeat the command"
        )
    return lease


def _find_objections(obligation: Obligation, service: ServiceSettings, ports: UnfencePorts) -> Iterator[str]:
    """Reasons not to discharge: the setting was changed since, or the release that would start is suspect."""
    view = ports.services.describe(service)
    match obligation.kind:
        case ObligationKind.FENCE if view.desired_count < int(obligation.before["desired_count"]):
            yield from _find_bad_release(service, view, ports)
        case ObligationKind.SCALING:
            recorded, current_target = ScalableTarget.model_validate(obligation.before), ports.scaling.describe(service)
            if current_target not in (recorded, recorded.all_suspended()):
                yield (
                    f"scaling is {current_target!r}: neither the recorded value ({recorded!r}) nor the value "
                    f"that the rollback set"
                )
        case ObligationKind.DEPLOYMENT_CONFIGURATION:
            expected = (
                obligation.before,
                *(disable_ecs_rollback(obligation.before, escalation_level) for escalation_level in EscalationLevel),
            )
            for part in obligation.before:
                current_value = view.deployment_configuration.get(part)
                if all(current_value != configuration.get(part) for configuration in expected):
                    yield f"{part} is {current_value}: neither the recorded value nor the value that the rollback set"


def _find_bad_release(service: ServiceSettings, view: ServiceView, ports: UnfencePorts) -> Iterator[str]:
    release = find_known_release(service.name, identify_running(view, service, ports), ports)
    if release is not None and release.state in ROLLED_BACK_STATES:
        command = f"rollback start {ports.settings.environment} --type emergency --service {service.name}"
        yield (
            f"{release.version} would be started, which is {release.state} ({release.state_reason}): "
            f"`{command}` starts the last known good instead"
        )
