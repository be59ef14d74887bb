"""The next target where the last known good can't be run: what ECS can't start is not deployed, nor waited for.

A stand-in has to be ready (or not known to be unready), and has to work with the live schema: a rollback that would
take the database further back than the last known good needs is for a person to ask for (rule 12).
"""

from rollback.check import Check
from rollback.domain.database.schema_verdict import Compatibility, SchemaVerdict
from rollback.domain.releases.newer_release import newest_known_at
from rollback.domain.releases.release import Release, ReleaseState
from rollback.domain.request import RollbackType
from rollback.domain.rollback import PlannedRollback, Rollback
from rollback.domain.standing_plan import StandingPlan, StandingTarget
from rollback.domain.target_readiness import join_failures
from rollback.errors import ExternalServiceError, RollbackError
from rollback.identity.target_checks import check_images_exist, run_check
from rollback.identity.task_definition import standing_plan
from rollback.leases.holder import find_rollback
from rollback.names import SYNONYMS_OF_LAST_KNOWN_GOOD
from rollback.ports.world import World
from rollback.resources.aws.ecs_service import ServiceView
from rollback.schema.verdict_from_ledger import schema_verdict

CHECK_NAME = "target-is-ready"


def choose_standing_target(standing: StandingPlan, running_fingerprint: str) -> StandingTarget | None:
    """The target of an emergency: the last known good, or the first that is ready instead of it."""
    newest = standing.newest_other(running_fingerprint)
    fitting = (
        one for one in standing.ways_back(running_fingerprint) if one is newest or _is_compatible(one.schema_verdict)
    )
    return next(fitting, newest)


def skipped_last_known_good(target: Release | None, running: Release, standing: StandingPlan | None) -> str:
    """Version of the last known good, where the target is an older release; else empty."""
    newest = standing.newest_other(running.fingerprint) if standing is not None else None
    if target is None or newest is None or newest.release.first_deployed_at <= target.first_deployed_at:
        return ""
    return newest.release.version


def check_target_readiness(target: Release, running: Release, standing: StandingPlan | None) -> tuple[Check, ...]:
    """What the standing plan knows of the target, and of the last known good where that is another; nothing if none."""
    planned = standing.target_of(target.fingerprint) if standing is not None else None
    newest = standing.newest_other(running.fingerprint) if standing is not None else None
    if standing is None or planned is None or newest is None:
        return ()
    at = f"at {standing.computed_at:%Y-%m-%d %H:%M} UTC"
    if planned.why_not_ready:
        return (_warn(f"{target.version} was not ready {at}: {planned.why_not_ready}"),)
    if newest is not planned and newest.is_ready is not True:
        why = newest.why_not_ready or "whether it can be run could not be asked"
        return (_warn(f"{newest.release.version} is skipped for {target.version}, {at}: {why}"),)
    if planned.is_ready is None:
        return (_warn(f"whether {target.version} can be run was not known {at}"),)
    return (Check.passed(CHECK_NAME, f"{target.version} could be run {at}"),)


def choose_substitute_target(
    rollback: Rollback,
    releases: tuple[Release, ...],
    running: Release,
    standing: StandingPlan | None,
    world: World,
) -> tuple[Release | None, tuple[Check, ...], str]:
    """A release to go back to instead of a last known good that can't be run, why, and that one's version.

    None: no other is taken.

    Of a rollback of the service alone, and never where a person names a version: that one is refused with its reason.

    Args:
        releases: those that the request may mean (`candidates`).
    """
    if rollback.request.type is not RollbackType.SERVICE or not _is_last_known_good_wanted(rollback):
        return None, (), ""
    good = [r for r in releases if r.state is ReleaseState.PROMOTED and r.is_resolved]
    good = sorted(good, key=lambda r: (r.first_deployed_at, r.fingerprint), reverse=True)
    others = [r for r in good if r.fingerprint != running.fingerprint]
    skipped: list[str] = []
    for release in others:
        why = _why_not_ready(release, standing, world)
        if why:
            skipped.append(f"{release.version} is skipped: {why}")
        elif not skipped:
            return None, (), ""
        elif _is_compatible(schema_verdict(release, world, running)):
            return release, (_warn("; ".join(skipped)),), others[0].version
    return None, (), ""


def find_next_target(rollback: Rollback, world: World) -> StandingTarget | None:
    """The next target of a rollback whose target could not be made to serve; None: there is none that may be taken.

    None too where the data goes with the target, or a person named it.
    """
    plan, service = rollback.plan, rollback.service
    if plan is None or plan.target is None or service is None or is_operator_choice(rollback):
        return None
    if rollback.database is not None or plan.database is not None or _has_taken_over_data_changes(rollback, world):
        return None
    try:
        standing = standing_plan(rollback.service_name, world)
        tried = {plan.target.fingerprint, *(one.target_fingerprint for one in service.tried)}
        ways = standing.ways_back(plan.running.fingerprint) if standing is not None else ()
        untried = (one for one in ways if one.release.fingerprint not in tried)
        return next((one for one in untried if _is_compatible(schema_verdict(one.release, world, plan.running))), None)
    except RollbackError:  # the ledger is not at hand: the ladder goes on without another target
        return None


def switch_target(planned: PlannedRollback, target: StandingTarget, view: ServiceView) -> Rollback:
    """The rollback on its way to that target; what was deployed until now is no newer release than this plan."""
    checks = [check for check in planned.plan.checks if check.name != CHECK_NAME]
    is_known = "" if target.is_ready else ", of which it is not known whether it can be run"
    tried = planned.target.version
    checks.append(_warn(f"{target.release.version} is next{is_known}: {tried} did not come to serve"))
    changes = {
        "target": target.release,
        "checks": tuple(checks),
        "skipped_last_known_good": planned.plan.skipped_last_known_good or tried,
        "newest_deployment_at": newest_known_at(view),
    }
    return planned.rollback.evolve(plan=planned.plan.model_copy(update=changes))


def is_operator_choice(rollback: Rollback, before: Rollback | None = None) -> bool:
    """Whether the target is a person's choice.

    Args:
        before: the rollback that this one goes on with, and whose target it keeps.
    """
    chosen = rollback.request.undo is not None or not _is_last_known_good_wanted(rollback)
    chosen = chosen or (rollback.plan is not None and rollback.plan.is_operator_choice)
    return chosen or (before is not None and is_operator_choice(before))


def _why_not_ready(release: Release, standing: StandingPlan | None, world: World) -> str:
    """What speaks against it now: its images as they are, the rest as the standing plan saw it."""
    planned = standing.target_of(release.fingerprint) if standing is not None else None
    images = run_check("image-exists", lambda: check_images_exist(release, world))
    known = [check for check in (planned.checks if planned is not None else ()) if check.name != images.name]
    return join_failures((images, *known))


def _is_last_known_good_wanted(rollback: Rollback) -> bool:
    asked_for = rollback.request.target_version
    return asked_for is None or asked_for in SYNONYMS_OF_LAST_KNOWN_GOOD


def _has_taken_over_data_changes(rollback: Rollback, world: World) -> bool:
    """Whether the rollback that was taken over changed the data, or may have."""
    if rollback.supersedes is None:
        return False
    try:
        before = find_rollback(rollback.supersedes, world)
    except ExternalServiceError:
        return True
    return before is None or before.has_changed_data


def _is_compatible(verdict: SchemaVerdict | None) -> bool:
    return verdict is None or verdict.compatibility is Compatibility.COMPATIBLE


def _warn(reason: str) -> Check:
    return Check.warned(CHECK_NAME, reason)
