"""Emergency: from the standing plan straight to ECS, in the same invocation that admitted it.

Needs ECS and the ledger, nothing else: whatever else does not answer is done without. The plan comes from one item of
the ledger; what guards every automatic trigger (pause, budget, one step per window) is still looked at.
"""

from collections.abc import Callable
from datetime import datetime

from rollback.check import Check
from rollback.database.observation.readiness import writes_to_standing_branch
from rollback.domain.database.schema_verdict import Compatibility, SchemaVerdict, unknown_verdict
from rollback.domain.plan import Plan, judge_plan
from rollback.domain.releases.identity import find_matching_release
from rollback.domain.releases.newer_release import newest_known_at
from rollback.domain.releases.release import Release, last_known_good
from rollback.domain.request import RollbackType
from rollback.domain.rollback import Rollback
from rollback.domain.standing_plan import StandingPlan
from rollback.errors import RollbackError
from rollback.guards.evidence import automatic_guards
from rollback.identity.candidates import candidates
from rollback.identity.identify import IdentifiedRelease, build_release, find_known_release
from rollback.identity.target_checks import check_digests_known
from rollback.identity.task_definition import standing_plan
from rollback.planning.database import apply_schema_verdict
from rollback.planning.step import apply_plan_checks, find_rollback_to_resume, release_to_replace, releases_of_resumed
from rollback.ports.world import World
from rollback.schema.compatibility_check import CHECK_NAME
from rollback.schema.verdict_from_ledger import schema_verdict
from rollback.service.next_target import (
    check_target_readiness,
    choose_standing_target,
    is_operator_choice,
    skipped_last_known_good,
)
from rollback.workflow.admit import admit
from rollback.workflow.route import Step, next_step

Advance = Callable[[Rollback, Step, World], Rollback]
_MOST_ROUNDS = 10


def start_emergency_rollback(
    given: object, execution: str, started_at: datetime, world: World, advance: Advance
) -> Rollback:
    """Admit, plan, and the first change to ECS; goes on where it was when called again.

    Args:
        advance: takes one round of a step and saves it (`walk.advance`).

    Raises:
        InvalidRequest: the input can't be understood; nothing was changed.
    """
    rollback = admit(given, execution, started_at, world)
    for _ in range(_MOST_ROUNDS):
        step = next_step(rollback)
        if step not in (Step.EMERGENCY, Step.SERVICE) or rollback.wait_seconds:
            break
        rollback = advance(rollback, step, world)
    return rollback


def plan_emergency(rollback: Rollback, world: World) -> Rollback:
    """The standing plan, made this rollback's own."""
    service, now, policy = world.settings.service(rollback.service_name), world.clock.now(), world.settings.policy
    standing = standing_plan(service.name, world)
    view = world.services.describe(service)
    before = find_rollback_to_resume(rollback, view, world)
    running, target = releases_of_resumed(before)
    if running is None:
        found = build_release(release_to_replace(rollback, view, world), view, service, world)
        running = _known_release_or_found(found, standing, world)
        if rollback.request.target_version is None:
            target = _standing_target(standing, running)
    # Without a standing plan (or for a version that a person names) the releases are read after all.
    releases = candidates(rollback.request, service.name, running, world) if target is None else ()
    if target is None and rollback.request.target_version is None:
        target = last_known_good(releases, running.fingerprint)
    made = judge_plan(
        rollback.request, rollback.trigger, releases, running, policy, now, target, is_continuation=before is not None
    )
    rollback, fits = _guard_schema(rollback, made, standing, before, world)
    if rollback.request.type is not RollbackType.EMERGENCY:  # planned anew, with the database
        return rollback.evolve(admission=(*rollback.admission, *fits), reason=fits[0].reason, wait_seconds=0)
    guards = automatic_guards(rollback, running, view, world, before)
    readiness = check_target_readiness(made.target, running, standing) if made.target is not None else ()
    known = check_digests_known(made.target) if made.target is not None else ()
    checks = (*made.checks, *known, _check_standing_plan(standing, made), *readiness, *guards, *fits)
    chosen = is_operator_choice(rollback, before)
    instead = skipped_last_known_good(made.target, running, standing) if not chosen else ""
    changes = {"checks": checks, "newest_deployment_at": newest_known_at(view), "skipped_last_known_good": instead}
    made = made.model_copy(update={**changes, "is_operator_choice": chosen})
    return apply_plan_checks(rollback.evolve(plan=made, wait_seconds=0), world, before)


def _guard_schema(
    rollback: Rollback, made: Plan, standing: StandingPlan | None, before: Rollback | None, world: World
) -> tuple[Rollback, tuple[Check, ...]]:
    """Rule 12, without another read if the target stands in the plan. What is gone on with was judged when it began.

    Not if it was to take the database along: that the target fits then says nothing about the service alone.
    """
    if made.target is None:
        return rollback, ()
    was_alone = before is not None and before.request.type in (RollbackType.SERVICE, RollbackType.EMERGENCY)
    judged = before.plan.checks if was_alone and before is not None and before.plan is not None else ()
    as_then = tuple(check for check in judged if check.name == CHECK_NAME)
    if as_then:
        return rollback, as_then
    return apply_schema_verdict(
        rollback, made.target, _schema_verdict_from_plan(made.target, made.running, standing, world), world
    )


def _schema_verdict_from_plan(
    target: Release, running: Release, standing: StandingPlan | None, world: World
) -> SchemaVerdict | None:
    """As it stands in the plan, if the database was looked at since what runs was deployed; None: there is none."""
    if not writes_to_standing_branch(target.service, world.settings):
        return None
    planned = standing.target_of(target.fingerprint) if standing is not None else None
    seen_at = standing.database_seen_at if standing is not None else None
    if planned is None or planned.schema_verdict is None:
        return schema_verdict(target, world, running)
    if seen_at is None or seen_at >= running.first_deployed_at:
        fits = planned.schema_verdict.compatibility is Compatibility.COMPATIBLE
        is_old = fits and seen_at is not None and _is_followed_by_checkpoint(seen_at, world)
        return schema_verdict(target, world, running) if is_old else planned.schema_verdict
    return unknown_verdict(
        f"the database was last looked at on {seen_at:%Y-%m-%d %H:%M} UTC, before {running.version} came"
    )


def _is_followed_by_checkpoint(seen_at: datetime, world: World) -> bool:
    """Whether a pipeline may have migrated since the last look: one query of the ledger, which finds nothing mostly."""
    database = world.settings.database
    points = world.ledger.restore_points(database.lease_of(None), since=seen_at) if database is not None else iter(())
    return any(point.by == "checkpoint" for point in points)


def _known_release_or_found(found: IdentifiedRelease, standing: StandingPlan | None, world: World) -> Release:
    """Return the running release with its evidence: from the standing plan, else by one request of the ledger.

    A ledger that does not answer, or has a record that can't be read, keeps no emergency waiting: the release then
    counts as one without evidence.
    """
    targets = standing.targets if standing is not None else ()
    planned = find_matching_release(found.identity, (one.release for one in targets))
    if planned is not None:
        return planned
    try:
        return find_known_release(found.release.service, found.identity, world) or found.release
    except RollbackError:
        return found.release


def _standing_target(standing: StandingPlan | None, running: Release) -> Release | None:
    chosen = choose_standing_target(standing, running.fingerprint) if standing is not None else None
    return chosen.release if chosen is not None else None


def _check_standing_plan(standing: StandingPlan | None, made: Plan) -> Check:
    name, target = "standing-plan", made.target
    if standing is not None and target is not None and standing.definition_of(target.fingerprint) is not None:
        reason = f"computed at {standing.computed_at:%Y-%m-%d %H:%M} UTC, definition registered"
        return Check.passed(name, reason)
    return Check.warned(name, "the target is not from the standing plan")
