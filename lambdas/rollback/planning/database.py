"""The database in a plan: does the target fit the schema, and if not, where does the database go?"""

from rollback.check import Check, Verdict
from rollback.database.preflight.branch_history import read_branch_history
from rollback.database.preflight.restore_rules import warn_of_side_effects
from rollback.database.preflight.timeline import BranchHistory
from rollback.domain.database.plan import DatabasePlan
from rollback.domain.database.restore_points import RecordedPoint
from rollback.domain.database.schema_finding import Compatibility
from rollback.domain.database.schema_verdict import SchemaVerdict, unknown_verdict
from rollback.domain.plan import Plan
from rollback.domain.releases.release import Release
from rollback.domain.releases.release_names import NameMatch
from rollback.domain.request import RollbackType
from rollback.domain.rollback import Rollback, service_of
from rollback.domain.settings.database import Strategy
from rollback.domain.settings.environment import ServiceSettings
from rollback.identity.identify import find_known_release, identify_running
from rollback.identity.target_checks import run_check
from rollback.leases.holder import find_rollback
from rollback.planning.database_rules import PlanningInputs, check_named_release, choose_data_release, plan_database
from rollback.ports.world import World
from rollback.resources.aws.scaling_hazards import CHECK_NAME as CHECK_OF_FENCE
from rollback.resources.aws.scaling_hazards import check_scaling_hazards
from rollback.schema.refusal import CHECK_NAME, escalate_to_full, evidence_of, explain_no_full_rollback, schema_check
from rollback.schema.verdict import (
    earliest_point_time,
    is_compatible_at,
    restore_points_about,
    schema_verdict,
    shipped_migrations_of,
    verdict_at,
)

_SERVICE_ONLY = (RollbackType.SERVICE, RollbackType.EMERGENCY)
_WITH_DATABASE = (RollbackType.DATABASE, RollbackType.FULL)


def find_rollback_to_undo(rollback: Rollback, world: World) -> Rollback | None:
    """The rollback that an undo names; None: it is no undo, or there is none of that name."""
    undo = rollback.request.undo
    if undo is None or service_of(undo) != rollback.service_name:
        return None
    return find_rollback(undo, world)


def apply_schema_policy(rollback: Rollback, made: Plan, world: World) -> tuple[Rollback, tuple[Check, ...]]:
    """Rule 12: refused, or made a full rollback where the environment says so."""
    target = made.target
    if rollback.request.type not in _SERVICE_ONLY or target is None:
        return rollback, ()
    verdict = schema_verdict(target, world, made.running)
    return apply_schema_verdict(rollback, target, verdict, world)


def apply_schema_verdict(
    rollback: Rollback, target: Release, verdict: SchemaVerdict | None, world: World
) -> tuple[Rollback, tuple[Check, ...]]:
    """What the verdict does to a rollback of the service alone; None: it has nothing to do with a database."""
    request = rollback.request
    if verdict is None:
        reason = "no database is set that the service writes to"
        return rollback, (Check.skipped(CHECK_NAME, reason),)
    policy = world.settings.policy
    wider = escalate_to_full(request, verdict, policy.on_incompatible_schema)
    if wider.type is request.type:
        needs_force = policy.database_approval == "required"
        remark = explain_no_full_rollback(verdict) if policy.on_incompatible_schema == "full" else ""
        named = (rollback.environment, target.service, target.version)
        return rollback, (schema_check(verdict, *named, needs_force=needs_force, remark=remark),)
    by = ", ".join(verdict.attributed_to)
    reason = f"{target.version} can't go back alone, the database goes with it, because of {by}: {verdict.reason}"
    check = Check.warned(CHECK_NAME, reason, evidence=evidence_of(verdict))
    return rollback.evolve(request=wider, escalated_from_type=request.type), (check,)


def plan_database_part(rollback: Rollback, made: Plan, releases: tuple[Release, ...], world: World) -> Plan:
    """The plan with where the database goes, if it goes anywhere.

    Args:
        releases: those that the request may mean (`candidates`).
    """
    request = rollback.request
    if request.type not in _WITH_DATABASE:
        return made
    settings = world.settings.database
    works_with = made.target  # what is to run afterwards: of a database alone, what runs now

    def fits(point: RecordedPoint) -> bool:
        return works_with is not None and is_compatible_at(works_with, point, world)

    undone = find_rollback_to_undo(rollback, world)
    full = request.type is RollbackType.FULL
    named = NameMatch(made.target) if full else choose_data_release(request, releases, made.running)
    target = named.release
    verdict = schema_verdict(target, world, made.running) if target is not None else None
    later: tuple[Release, ...] = ()
    points: tuple[RecordedPoint, ...] = ()
    if target is not None:
        later = tuple(world.ledger.releases(rollback.service_name, since=target.first_deployed_at))
        points = restore_points_about(target, settings.lease_of(request.pr), world) if settings is not None else ()
    shipped = shipped_migrations_of(made.running, world)
    history = _read_history(rollback, target, world)
    known = PlanningInputs(
        settings, world.settings.policy, later or releases, points, undone, fits, verdict, shipped, history
    )
    planned, checks = plan_database(request, made.running, target, known)
    gone_to = planned.point if planned is not None else None
    point = next((one for one in points if gone_to is not None and one.point == gone_to), None)
    others = _check_other_writers(rollback.service_name, point, world) if point is not None else ()
    ahead = _observed_warnings(rollback, planned, world)
    checks = (*check_named_release(request, named, releases), *checks, *others, *ahead, *_check_fences_hold(world))
    if planned is not None:
        planned = planned.model_copy(
            update={"reconnecting_services": _services_to_reconnect(rollback.service_name, planned, world)}
        )
    return made.model_copy(update={"database": planned, "checks": (*made.checks, *checks)})


def _read_history(rollback: Rollback, target: Release | None, world: World) -> BranchHistory:
    """Of the branch that goes back, since the earliest position that the plan may choose."""
    settings, to = world.settings.database, rollback.request.to
    since = [at for at in (to, earliest_point_time(target) if target is not None else None) if at is not None]
    if settings is None or not since:
        return BranchHistory()
    return read_branch_history(settings.lease_of(rollback.request.pr), min(since), world)


def _services_to_reconnect(service_name: str, planned: DatabasePlan, world: World) -> tuple[str, ...]:
    """Every service of the branch, the rollback's own first: the others' connections matter once it serves again."""
    if planned.strategy is Strategy.DELETE:
        return ()
    names = [service.name for service in (*world.settings.writers(), *world.settings.readers())]
    return tuple(sorted(dict.fromkeys(names), key=lambda name: (name != service_name, names.index(name))))


def _observed_warnings(rollback: Rollback, planned: DatabasePlan | None, world: World) -> tuple[Check, ...]:
    """Branches that move and IP limits that lift, as the last look at the database saw them; warnings here."""
    settings = world.settings.database
    if planned is None or settings is None or settings.branch_id is None:
        return ()
    if planned.strategy not in (Strategy.RESTORE, Strategy.RESET):
        return ()
    seen = world.ledger.observation(settings.lease_of(None))
    return warn_of_side_effects(seen.checks_for(rollback.service_name)) if seen is not None else ()


def _check_fences_hold(world: World) -> tuple[Check, ...]:
    """Whether anything could start a task behind the fence around each writer. Not known is no reason to refuse."""
    return tuple(
        run_check(CHECK_OF_FENCE, lambda service=service: _check_fence_holds(service, world))  # type: ignore[misc]
        for service in world.settings.writers()
    )


def _check_fence_holds(service: ServiceSettings, world: World) -> Check:
    return check_scaling_hazards(service, world.scaling.predictive_policies(service), is_fenced_next=True)


def _check_other_writers(service_name: str, point: RecordedPoint, world: World) -> tuple[Check, ...]:
    """The other services that write to the branch stay on their releases: those too must work with what is there then.

    What is not known of them warns: they are not the ones in trouble, and the page of one that fails names them.
    """
    checks = []
    for service in world.settings.writers():
        if service.name == service_name:
            continue
        view = world.services.describe(service)
        release = find_known_release(service.name, identify_running(view, service, world), world)
        verdict = (
            verdict_at(release, point, world) if release is not None else unknown_verdict("what it runs is not known")
        )
        graded = {Compatibility.COMPATIBLE: Verdict.PASS, Compatibility.BREAKING: Verdict.FAIL}
        version = release.version if release is not None else "what runs"
        reason = f"{version} of {service.name} on the restored tables: {verdict.reason}"
        grade = graded.get(verdict.compatibility, Verdict.WARN)
        checks.append(Check(name=f"writer-fits {service.name}", verdict=grade, reason=reason, forceable=True))
    return tuple(checks)
