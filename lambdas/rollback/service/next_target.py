"""Choose another target if ECS can't run the last known good.

A substitute must be ready, or not known to be unready. It must work with the live schema (rule 12: a breaking schema
refuses). Only an operator may take the database further back than the last known good needs.
"""

from rollback.check import Check
from rollback.domain.database.schema_verdict import Compatibility, SchemaVerdict
from rollback.domain.releases.newer_release import newest_known_at
from rollback.domain.releases.release import Release, ReleaseState
from rollback.domain.request import RollbackType
from rollback.domain.rollback import Rollback
from rollback.domain.standing_plan import StandingPlan, StandingTarget
from rollback.domain.target_readiness import join_failures
from rollback.errors import ExternalServiceError, InvalidRequest, RollbackError
from rollback.identity.target_checks import check_images_exist, run_check
from rollback.identity.task_definition import read_standing_plan
from rollback.leases.holder import find_rollback
from rollback.names import SYNONYMS_OF_LAST_KNOWN_GOOD
from rollback.ports.holders import HasImages
from rollback.resources.aws.ecs_service import ServiceView
from rollback.schema.verdict_from_ledger import schema_verdict
from rollback.service.ports import NextTargetPorts, SubstituteTargetPorts

CHECK_NAME = "target-is-ready"


def choose_standing_target(standing_plan: StandingPlan, running_fingerprint: str) -> StandingTarget | None:
    """Choose an emergency's target: the last known good, or the newest ready release instead."""
    newest = standing_plan.newest_other(running_fingerprint)
    fitting = (
        candidate
        for candidate in standing_plan.usable_targets(running_fingerprint)
        if candidate is newest or _is_compatible(candidate.schema_verdict)
    )
    return next(fitting, newest)


def skipped_last_known_good(target: Release | None, running: Release, standing_plan: StandingPlan | None) -> str:
    """Return the version of the last known good if the target is an older release; else empty."""
    newest = standing_plan.newest_other(running.fingerprint) if standing_plan is not None else None
    if target is None or newest is None or newest.release.first_deployed_at <= target.first_deployed_at:
        return ""
    return newest.release.version


def check_target_readiness(target: Release, running: Release, standing_plan: StandingPlan | None) -> tuple[Check, ...]:
    """Report the standing plan's verdict on the target, and on a skipped last known good; none without a plan."""
    standing_target = standing_plan.target_of(target.fingerprint) if standing_plan is not None else None
    newest = standing_plan.newest_other(running.fingerprint) if standing_plan is not None else None
    if standing_plan is None or standing_target is None or newest is None:
        return ()
    at = f"at {standing_plan.computed_at:%Y-%m-%d %H:%M} UTC"
    if standing_target.why_not_ready:
        return (_warn(f"{target.version} was not ready {at}: {standing_target.why_not_ready}"),)
    if newest is not standing_target and newest.is_ready is not True:
        reason = newest.why_not_ready or "whether ECS can run it could not be checked"
        return (_warn(f"{newest.release.version} is skipped for {target.version}, {at}: {reason}"),)
    if standing_target.is_ready is None:
        return (_warn(f"whether {target.version} can be run was not known {at}"),)
    return (Check.passed(CHECK_NAME, f"{target.version} could be run {at}"),)


def choose_substitute_target(
    rollback: Rollback,
    releases: tuple[Release, ...],
    running: Release,
    standing_plan: StandingPlan | None,
    ports: SubstituteTargetPorts,
) -> tuple[Release | None, tuple[Check, ...], str]:
    """Choose a substitute for a last known good that ECS can't run.

    Only a rollback of the service alone has a substitute. A version that an operator names is refused with its reason.

    Args:
        rollback: the document.
        releases: the releases that the request may mean (`rollback.identity.candidates`).
        running: the release that runs.
        standing_plan: the plan that was computed in advance; None: the ledger has no such plan.
        ports: access to AWS, Neon and the ledger.

    Returns:
        The substitute, or None; the check with the reasons; and the version of the skipped last known good.
    """
    if rollback.request.type is not RollbackType.SERVICE or not _is_last_known_good_requested(rollback):
        return None, (), ""
    promoted = [r for r in releases if r.state is ReleaseState.PROMOTED and r.is_resolved]
    promoted = sorted(promoted, key=lambda r: (r.first_deployed_at, r.fingerprint), reverse=True)
    others = [r for r in promoted if r.fingerprint != running.fingerprint]
    skip_reasons: list[str] = []
    for release in others:
        reason = _why_not_ready(release, standing_plan, ports)
        if reason:
            skip_reasons.append(f"{release.version} is skipped: {reason}")
        elif not skip_reasons:
            return None, (), ""
        elif _is_compatible(schema_verdict(release, ports, running)):
            return release, (_warn("; ".join(skip_reasons)),), others[0].version
    return None, (), ""


def find_next_target(rollback: Rollback, ports: NextTargetPorts) -> StandingTarget | None:
    """Find the next target after a target that did not become healthy; None: no target is left.

    A rollback with a database change has no other target. Neither has a rollback whose target an operator named.
    """
    plan, service = rollback.plan, rollback.service
    if plan is None or plan.target is None or service is None or is_operator_choice(rollback):
        return None
    if rollback.database is not None or plan.database is not None or _has_taken_over_data_changes(rollback, ports):
        return None
    try:
        standing_plan = read_standing_plan(rollback.service_name, ports)
        tried_fingerprints = {plan.target.fingerprint, *(attempt.target_fingerprint for attempt in service.attempts)}
        candidates = standing_plan.usable_targets(plan.running.fingerprint) if standing_plan is not None else ()
        untried = (target for target in candidates if target.release.fingerprint not in tried_fingerprints)
        return next(
            (target for target in untried if _is_compatible(schema_verdict(target.release, ports, plan.running))), None
        )
    except RollbackError:  # escalation goes on without another target if the ledger can't be read
        return None


def switch_target(rollback: Rollback, target: StandingTarget, view: ServiceView) -> Rollback:
    """Set another target. Deployments that began before the switch don't count as newer than this plan."""
    if rollback.plan is None:
        raise InvalidRequest(f"{rollback.id} has no plan, so its target can't be switched")
    checks = [check for check in rollback.plan.checks if check.name != CHECK_NAME]
    readiness_note = "" if target.is_ready else " (whether ECS can run it is not known)"
    failed_version = rollback.plan.target.version if rollback.plan.target is not None else "the target"
    checks.append(_warn(f"{target.release.version} is next{readiness_note}: {failed_version} did not become healthy"))
    changes = {
        "target": target.release,
        "checks": tuple(checks),
        "skipped_last_known_good": rollback.plan.skipped_last_known_good or failed_version,
        "newest_deployment_at": newest_known_at(view),
    }
    return rollback.evolve(plan=rollback.plan.model_copy(update=changes))


def is_operator_choice(rollback: Rollback, predecessor: Rollback | None = None) -> bool:
    """Whether an operator chose the target.

    Args:
        rollback: the document.
        predecessor: the rollback that this rollback continues, and whose target it keeps.
    """
    is_chosen = rollback.request.undo is not None or not _is_last_known_good_requested(rollback)
    is_chosen = is_chosen or (rollback.plan is not None and rollback.plan.is_operator_choice)
    return is_chosen or (predecessor is not None and is_operator_choice(predecessor))


def _why_not_ready(release: Release, standing_plan: StandingPlan | None, ports: HasImages) -> str:
    """Return why ECS can't run the release: its images are checked now, the rest is the standing plan's verdict."""
    standing_target = standing_plan.target_of(release.fingerprint) if standing_plan is not None else None
    images = run_check("image-exists", lambda: check_images_exist(release, ports))
    recorded_checks = standing_target.checks if standing_target is not None else ()
    return join_failures((images, *(check for check in recorded_checks if check.name != images.name)))


def _is_last_known_good_requested(rollback: Rollback) -> bool:
    target_version = rollback.request.target_version
    return target_version is None or target_version in SYNONYMS_OF_LAST_KNOWN_GOOD


def _has_taken_over_data_changes(rollback: Rollback, ports: NextTargetPorts) -> bool:
    """Whether this rollback took over one that changed the data, or may have."""
    if rollback.continues_rollback_id is None:
        return False
    try:
        predecessor = find_rollback(rollback.continues_rollback_id, ports)
    except ExternalServiceError:
        return True
    return predecessor is None or predecessor.has_changed_data


def _is_compatible(verdict: SchemaVerdict | None) -> bool:
    return verdict is None or verdict.compatibility is Compatibility.COMPATIBLE


def _warn(reason: str) -> Check:
    return Check.warned(CHECK_NAME, reason)
