"""One entry per kind of obligation: how to check the recorded value, and how to restore it when that is safe."""

from collections.abc import Callable
from dataclasses import dataclass

from rollback.conclusion.ports import SettingDischargePorts
from rollback.domain.obligation import Obligation, ObligationKind
from rollback.domain.settings.environment import ServiceSettings
from rollback.intents.caused import record_caused_deployment
from rollback.ports.neon import NeonProject
from rollback.resources.aws.ecs_service import ScalableTarget, ServiceView


@dataclass(frozen=True)
class ServiceDischarge:
    """Check and change of an obligation about a service that ECS has just described.

    Attributes:
        is_discharged: whether the service has the recorded value again.
        discharge: restore the recorded value if that is safe now; change nothing otherwise.
    """

    is_discharged: Callable[[Obligation, ServiceSettings, ServiceView, SettingDischargePorts], bool]
    discharge: Callable[[Obligation, ServiceSettings, ServiceView, SettingDischargePorts], None]


@dataclass(frozen=True)
class BranchDischarge:
    """Check and change of an obligation about a Neon branch; the attributes mean the same as for a service."""

    is_discharged: Callable[[Obligation, NeonProject], bool]
    discharge: Callable[[Obligation, NeonProject], None]


def discharge_of(kind: ObligationKind) -> ServiceDischarge | BranchDischarge:
    """The table of all kinds. A new kind of obligation gets its entry here."""
    match kind:
        case ObligationKind.DEPLOYMENT_CONFIGURATION:
            return ServiceDischarge(_has_recorded_configuration, _restore_configuration)
        case ObligationKind.FENCE:
            return ServiceDischarge(_has_recorded_desired_count, _restore_desired_count)
        case ObligationKind.SCALING:
            return ServiceDischarge(_has_recorded_scaling, _restore_scaling)
        case ObligationKind.BRANCH_PROTECTION:
            return BranchDischarge(_is_branch_protected, _protect_branch)
        case ObligationKind.PREVIEW_BRANCH:
            return BranchDischarge(_is_preview_gone, _delete_preview)


def restore_setting(
    obligation: Obligation, service: ServiceSettings, view: ServiceView, ports: SettingDischargePorts
) -> bool:
    """Discharge an obligation about a service.

    Returns:
        Whether `view` shows the recorded value. If not, the value was restored if that is safe.
    """
    entry = discharge_of(obligation.kind)
    if not isinstance(entry, ServiceDischarge):
        return False
    if entry.is_discharged(obligation, service, view, ports):
        return True
    entry.discharge(obligation, service, view, ports)
    return False


def restore_branch_setting(obligation: Obligation, neon: NeonProject) -> bool:
    """Discharge an obligation about a branch: protect the branch again, or delete the preview of a drill.

    Returns:
        Whether Neon shows the recorded state. If not, Neon was asked for the change; call again to check.
    """
    entry = discharge_of(obligation.kind)
    if not isinstance(entry, BranchDischarge):
        return False
    if entry.is_discharged(obligation, neon):
        return True
    entry.discharge(obligation, neon)
    return False


def _has_recorded_configuration(
    obligation: Obligation,
    service: ServiceSettings,  # noqa: ARG001
    view: ServiceView,
    ports: SettingDischargePorts,  # noqa: ARG001
) -> bool:
    current = view.deployment_configuration
    return all(current.get(part) == recorded for part, recorded in obligation.before.items())


def _restore_configuration(
    obligation: Obligation, service: ServiceSettings, view: ServiceView, ports: SettingDischargePorts
) -> None:
    """Rule 5: put the recorded parts back once PRIMARY is COMPLETED. Parts that another actor changed stay.

    COMPLETED is enough, although tasks of the former revision may still run: ECS does not roll back from COMPLETED (ECS
    API reference, DeploymentEarlySuccessCriteria).
    """
    if view.primary.rollout_state == "COMPLETED":
        ports.services.update(service, deployment_configuration=obligation.before)


def _has_recorded_desired_count(
    obligation: Obligation,
    service: ServiceSettings,  # noqa: ARG001
    view: ServiceView,
    ports: SettingDischargePorts,  # noqa: ARG001
) -> bool:
    return view.desired_count >= int(obligation.before["desired_count"])


def _restore_desired_count(
    obligation: Obligation, service: ServiceSettings, view: ServiceView, ports: SettingDischargePorts
) -> None:
    """Start at least as many tasks of PRIMARY as ran before the fence.

    ECS starts no more tasks for a deployment that it has marked FAILED, so a new deployment is forced in that case.
    """
    has_failed = view.primary.rollout_state == "FAILED"
    if has_failed:
        record_caused_deployment(service.name, view, ports.clock.now(), ports)
    ports.services.update(
        service, desired_count=int(obligation.before["desired_count"]), force_new_deployment=has_failed
    )


def _has_recorded_scaling(
    obligation: Obligation,
    service: ServiceSettings,
    view: ServiceView,  # noqa: ARG001
    ports: SettingDischargePorts,
) -> bool:
    return ports.scaling.describe(service) == ScalableTarget.model_validate(obligation.before)


def _restore_scaling(
    obligation: Obligation, service: ServiceSettings, view: ServiceView, ports: SettingDischargePorts
) -> None:
    """Rule 2: put the exact prior scaling back only once the service runs on at least its minimum of tasks."""
    recorded = ScalableTarget.model_validate(obligation.before)
    if min(view.running_count, view.desired_count) >= recorded.min_capacity:
        ports.scaling.put(service, recorded)


def _is_branch_protected(obligation: Obligation, neon: NeonProject) -> bool:
    branch = neon.branch(str(obligation.before["branch_id"]))
    return branch is None or branch.protected


def _protect_branch(obligation: Obligation, neon: NeonProject) -> None:
    neon.update_branch(str(obligation.before["branch_id"]), protected=True)


def _is_preview_gone(obligation: Obligation, neon: NeonProject) -> bool:
    return neon.branch_named(str(obligation.before["name"])) is None


def _delete_preview(obligation: Obligation, neon: NeonProject) -> None:
    """Delete the branch of exactly this name, which only the drill's own preview has."""
    preview = neon.branch_named(str(obligation.before["name"]))
    if preview is not None:
        neon.delete_branch(preview.id)
