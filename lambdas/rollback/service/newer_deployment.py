"""Ask before each change and each escalation whether the team deployed a newer release (decision 17)."""

from datetime import datetime, timedelta

from rollback.domain.escalation import EscalationLevel
from rollback.domain.releases.newer_release import (
    DeploymentStatus,
    LatestDeployment,
    NewerRelease,
    expire_in_flight,
    latest_deployment,
    may_be_newer,
)
from rollback.domain.rollback import Outcome, Rollback
from rollback.domain.settings.environment import ServiceSettings
from rollback.errors import ExternalServiceError
from rollback.identity.identify import find_or_build_release, identify_deployment, is_registered_by_rollback
from rollback.identity.ports import KnownReleasePorts
from rollback.intents.caused import is_caused_by_rollback
from rollback.ports.holders import HasLedger, HasSettings, HasStacks
from rollback.resources.aws.ecs_service import ServiceView
from rollback.service.ports import NewerReleasePorts

_WAIT_MOVE = "wait_for_newer_release"


def yield_to_newer_release(rollback: Rollback, view: ServiceView, ports: NewerReleasePorts) -> tuple[Rollback, bool]:
    """Record a newer release of the team.

    Returns:
        The rollback, and whether this round ends: as superseded, or waiting for the newer deployment.

    Raises:
        ExternalServiceError: ECS, or the registry, does not show what was deployed.
    """
    newer, status = find_newer_release(rollback, view, ports)
    if newer is None or status is DeploymentStatus.FAILED:
        return rollback, False
    why_replaced = _why_unfit_for_data(rollback, newer)
    if why_replaced:
        return rollback.evolve(newer=newer.model_copy(update={"why_replaced": why_replaced})), False
    # Behind our fence the newer release could not start: Conclude lifts the fence, and the release starts.
    is_superseding = status is DeploymentStatus.COMPLETED or rollback.is_fenced
    if is_superseding and ports.clock.now() >= _own_calls_deadline(rollback, ports):
        return end_as_superseded(rollback, newer), True
    service = rollback.service
    if service is not None and service.moves[-1:] != (_WAIT_MOVE,):
        service = service.evolve(moves=(*service.moves, _WAIT_MOVE))
    policy = ports.settings.policy
    return rollback.evolve(service=service, newer=newer, wait_seconds=policy.poll_seconds), True


def yield_before_data_changes(rollback: Rollback, ports: NewerReleasePorts) -> tuple[Rollback, bool]:
    """Yield as `yield_to_newer_release` does, unless the data was changed. A change in progress is cleaned up first.

    Raises:
        ExternalServiceError: ECS, or the registry, does not show what was deployed.
    """
    progress = rollback.database
    if rollback.has_changed_data or (progress is not None and progress.why_not is not None):
        return rollback, False
    view = ports.services.describe(ports.settings.service(rollback.service_name))
    newer, status = find_newer_release(rollback, view, ports)
    if newer is None or status is DeploymentStatus.FAILED:
        return rollback, False
    if progress is None:
        return end_as_superseded(rollback, newer), True
    reason = f"{newer.in_words} is newer than this rollback; the data was not touched"
    return rollback.evolve(newer=newer, database=progress.mark_failed(reason, ports.clock.now())), False


def end_as_superseded(rollback: Rollback, newer: NewerRelease) -> Rollback:
    """End the rollback: Conclude restores the changed settings, and the newer release is left alone."""
    consequence = "the changed settings are restored" if rollback.has_acted else "nothing was changed"
    return rollback.evolve(
        outcome=Outcome.SUPERSEDED,
        newer=newer,
        reason=f"{newer.in_words} is newer than this rollback, and is left alone; {consequence}",
        wait_seconds=0,
    )


def find_newer_release(
    rollback: Rollback, view: ServiceView, ports: NewerReleasePorts
) -> tuple[NewerRelease | None, DeploymentStatus]:
    """Find a deployment that the team made after the plan, and its status; None: the team made no such deployment.

    A deployment of the target is no newer release, and neither is a rollback by CloudFormation.

    Raises:
        ExternalServiceError: ECS, or the registry, does not show what was deployed.
    """
    plan, latest = rollback.plan, latest_deployment(view)
    if plan is None or plan.target is None:
        return None, latest.status
    if not may_be_newer(latest, plan.newest_deployment_at or rollback.created_at):
        return None, latest.status
    if is_registered_by_rollback(latest.deployed.definition_arn, ports):
        return None, latest.status
    service = ports.settings.service(rollback.service_name)
    latest_release = identify_deployment(latest.deployed, view, service, ports)
    if latest_release.is_release(plan.target) or _is_of_stack(service, latest, ports):
        return None, latest.status
    if _is_restart_of_drill(rollback, view, ports):
        return None, latest.status
    newer = NewerRelease(
        version=_version_of_newer(rollback, latest, view, service, ports),
        definition_arn=latest.deployed.definition_arn,
        began_at=latest.began_at,
        is_replaced_release_redeployed=latest_release.is_release(plan.running),
    )
    return newer, expire_in_flight(latest, ports.clock.now(), _deployment_timeout(rollback, ports))


def _is_restart_of_drill(rollback: Rollback, view: ServiceView, ports: HasLedger) -> bool:
    """Whether a drill that this rollback took over requested the newest deployment: its call may land afterwards."""
    if rollback.continues_rollback_id is None:
        return False
    caused_deployment = ports.ledger.caused_deployment(rollback.service_name)
    if caused_deployment is None or caused_deployment.rollback_id != rollback.continues_rollback_id:
        return False
    return is_caused_by_rollback(caused_deployment, None, view)


def _version_of_newer(
    rollback: Rollback, latest: LatestDeployment, view: ServiceView, service: ServiceSettings, ports: KnownReleasePorts
) -> str:
    """Return the version. It is read once, because each round finds the same deployment."""
    recorded = rollback.newer
    is_recorded = recorded is not None and (recorded.definition_arn, recorded.began_at) == (
        latest.deployed.definition_arn,
        latest.began_at,
    )
    if recorded is not None and is_recorded:
        return recorded.version
    return find_or_build_release(latest.deployed, view, service, ports).version


def _own_calls_deadline(rollback: Rollback, ports: HasSettings) -> datetime:
    """Return the time until which a call of this rollback, or of its predecessor, may replace the newer release.

    Rule 9: the intent is written before the change.
    """
    service, limit = rollback.service, timedelta(seconds=ports.settings.policy.act_timeout_seconds)
    if service is None:
        return rollback.created_at
    intent_deadline = service.intent.at + limit if service.intent is not None else rollback.created_at
    return max(intent_deadline, service.reassert_until or rollback.created_at)


def _why_unfit_for_data(rollback: Rollback, newer: NewerRelease) -> str:
    """Return the reason why the newer release must not run on the data; empty: it may.

    A release that was deployed before the target ran on the changed data was not made for that data.
    """
    is_successor = rollback.continues_rollback_id is not None or rollback.inherits_fence_of is not None
    has_inherited_fence = is_successor and rollback.is_fenced
    if not rollback.has_changed_data and not has_inherited_fence:
        return ""
    started_at = rollback.service.acted_at if rollback.service is not None else None
    if started_at is not None and newer.began_at > started_at:
        return ""
    return "it was deployed during the database change, and was not made for the present data"


def _is_of_stack(service: ServiceSettings, latest: LatestDeployment, ports: HasStacks) -> bool:
    """Whether CloudFormation rolled back to the deployment. Without an answer, the deployment counts as the team's."""
    if service.stack is None:
        return False
    try:
        stack = ports.stacks.describe(service.stack)
    except ExternalServiceError:
        return False
    return stack is not None and stack.has_stack_rolled_back_to(latest.deployed.definition_arn)


def _deployment_timeout(rollback: Rollback, ports: HasSettings) -> timedelta:
    policy = ports.settings.policy
    escalation_level = rollback.service.escalation_level if rollback.service is not None else EscalationLevel.SERVICE
    is_plain = escalation_level is EscalationLevel.SERVICE and not rollback.is_emergency
    return timedelta(minutes=policy.service_timeout_minutes if is_plain else policy.emergency_timeout_minutes)
