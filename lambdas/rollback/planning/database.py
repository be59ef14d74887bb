"""The database's part of a plan: what is read for it, and its checks."""

from rollback.check import Check, Verdict
from rollback.database.preflight.branch_history import read_branch_history
from rollback.database.preflight.ports import BranchHistoryPorts
from rollback.database.preflight.restore_rules import warn_of_side_effects
from rollback.database.preflight.timeline import BranchHistory
from rollback.domain.database.plan import DatabasePlan
from rollback.domain.database.restore_points import RecordedPoint
from rollback.domain.database.schema_verdict import Compatibility, unknown_verdict
from rollback.domain.plan import Plan
from rollback.domain.releases.release import Release
from rollback.domain.releases.release_names import NameMatch, find_last_known_good
from rollback.domain.request import DATABASE_TYPES, RollbackType
from rollback.domain.rollback import Rollback, service_of
from rollback.domain.settings.database import Strategy
from rollback.domain.settings.environment import ServiceSettings
from rollback.identity.identify import find_known_release, identify_running
from rollback.identity.target_checks import run_check
from rollback.leases.holder import find_rollback
from rollback.leases.ports import LeaseReadPorts
from rollback.planning.database_rules import (
    PlanningInputs,
    check_named_release,
    choose_data_release,
    plan_database,
)
from rollback.planning.ports import DatabasePlanPorts
from rollback.ports.holders import HasScaling, HasSettings
from rollback.resources.aws.scaling_hazards import CHECK_NAME as CHECK_OF_FENCE
from rollback.resources.aws.scaling_hazards import check_scaling_hazards
from rollback.schema.ports import SchemaVerdictPorts
from rollback.schema.verdict_from_ledger import (
    earliest_point_time,
    is_compatible_at,
    restore_points_about,
    schema_verdict,
    shipped_migrations_of,
    verdict_at,
)


def find_rollback_to_undo(rollback: Rollback, ports: LeaseReadPorts) -> Rollback | None:
    """The rollback that the request undoes; None: the request is no undo, or the ledger has no such rollback."""
    undo = rollback.request.undo
    if undo is None or service_of(undo) != rollback.service_name:
        return None
    return find_rollback(undo, ports)


def plan_database_part(rollback: Rollback, plan: Plan, releases: tuple[Release, ...], ports: DatabasePlanPorts) -> Plan:
    """Add the database's part to a plan, if the request includes the database.

    Args:
        rollback: the rollback.
        plan: the plan of the service, with its checks.
        releases: releases that the request may mean (`candidates`).
        ports: access to AWS, Neon and the ledger.
    """
    request = rollback.request
    if request.type not in DATABASE_TYPES:
        return plan
    if rollback.is_drill:  # the restore of a full rollback; the settings may prefer another strategy
        request = request.model_copy(update={"type": RollbackType.FULL, "strategy": Strategy.RESTORE})
    settings = ports.settings.database
    drill_match = find_last_known_good(releases, plan.running.fingerprint) if rollback.is_drill else None
    # The release after the rollback; a database rollback keeps the running one, and a drill rehearses going back.
    final_release = drill_match.release if drill_match is not None else plan.target

    def fits(point: RecordedPoint) -> bool:
        return final_release is not None and is_compatible_at(final_release, point, ports)

    undone_rollback = find_rollback_to_undo(rollback, ports)
    is_full = request.type is RollbackType.FULL
    match = drill_match or (NameMatch(plan.target) if is_full else choose_data_release(request, releases, plan.running))
    target = match.release
    verdict = schema_verdict(target, ports, plan.running) if target is not None else None
    later_releases: tuple[Release, ...] = ()
    points: tuple[RecordedPoint, ...] = ()
    if target is not None:
        later_releases = tuple(ports.ledger.releases(rollback.service_name, since=target.first_deployed_at))
        points = restore_points_about(target, settings.branch_key(request.pr), ports) if settings is not None else ()
    shipped = shipped_migrations_of(plan.running, ports)
    history = _read_history(rollback, target, ports)
    inputs = PlanningInputs(
        settings,
        ports.settings.policy,
        later_releases or releases,
        points,
        undone_rollback,
        fits,
        verdict,
        shipped,
        history,
    )
    database_plan, checks = plan_database(request, plan.running, target, inputs)
    chosen_point = database_plan.point if database_plan is not None else None
    point = next((recorded for recorded in points if chosen_point is not None and recorded.point == chosen_point), None)
    writer_checks = _check_other_writers(rollback.service_name, point, ports) if point is not None else ()
    side_effect_checks = _observed_warnings(rollback, database_plan, ports)
    checks = (
        *check_named_release(request, match, releases),
        *checks,
        *writer_checks,
        *side_effect_checks,
        *_check_fences_hold(ports),
    )
    if database_plan is not None and not rollback.is_drill:
        database_plan = database_plan.model_copy(
            update={"reconnecting_services": _services_to_reconnect(rollback.service_name, database_plan, ports)}
        )
    return plan.model_copy(update={"database": database_plan, "checks": (*plan.checks, *checks)})


def _read_history(rollback: Rollback, target: Release | None, ports: BranchHistoryPorts) -> BranchHistory:
    """Read the branch's history since the earliest position that the plan may choose."""
    settings, to = ports.settings.database, rollback.request.to
    since = [at for at in (to, earliest_point_time(target) if target is not None else None) if at is not None]
    if settings is None or not since:
        return BranchHistory()
    return read_branch_history(settings.branch_key(rollback.request.pr), min(since), ports)


def _services_to_reconnect(service_name: str, database_plan: DatabasePlan, ports: HasSettings) -> tuple[str, ...]:
    """All services of the branch, the rollback's own first: the others need connections once that service serves."""
    if database_plan.strategy is Strategy.DELETE:
        return ()
    names = [service.name for service in (*ports.settings.writers(), *ports.settings.readers())]
    return tuple(sorted(dict.fromkeys(names), key=lambda name: (name != service_name, names.index(name))))


def _observed_warnings(
    rollback: Rollback, database_plan: DatabasePlan | None, ports: SchemaVerdictPorts
) -> tuple[Check, ...]:
    """Warnings about side effects (moving child branches, lifted IP limits), as the last observation found them."""
    settings = ports.settings.database
    if database_plan is None or settings is None or settings.branch_id is None:
        return ()
    if database_plan.strategy not in (Strategy.RESTORE, Strategy.RESET):
        return ()
    observation = ports.ledger.observation(settings.branch_key(None))
    return warn_of_side_effects(observation.checks_for(rollback.service_name)) if observation is not None else ()


def _check_fences_hold(ports: DatabasePlanPorts) -> tuple[Check, ...]:
    """Check for each writer that scaling can't start tasks behind its fence; without an answer the check warns."""
    return tuple(
        run_check(CHECK_OF_FENCE, lambda service=service: _check_fence_holds(service, ports))  # type: ignore[misc]
        for service in ports.settings.writers()
    )


def _check_fence_holds(service: ServiceSettings, ports: HasScaling) -> Check:
    return check_scaling_hazards(service, ports.scaling.predictive_policies(service), is_fenced_next=True)


def _check_other_writers(service_name: str, point: RecordedPoint, ports: DatabasePlanPorts) -> tuple[Check, ...]:
    """Check that the other writers' releases, which keep running, work with the restored tables.

    An unknown result is a warning: these services have no incident, and a later failure pages with their names.
    """
    checks = []
    for service in ports.settings.writers():
        if service.name == service_name:
            continue
        view = ports.services.describe(service)
        release = find_known_release(service.name, identify_running(view, service, ports), ports)
        verdict = (
            verdict_at(release, point, ports)
            if release is not None
            else unknown_verdict("its running release is not known")
        )
        grades = {Compatibility.COMPATIBLE: Verdict.PASS, Compatibility.BREAKING: Verdict.FAIL}
        version = release.version if release is not None else "the running release"
        reason = f"{version} of {service.name} on the restored tables: {verdict.reason}"
        grade = grades.get(verdict.compatibility, Verdict.WARN)
        checks.append(
            Check(name=f"writer-{service.name}-fits-restored-schema", verdict=grade, reason=reason, is_forceable=True)
        )
    return tuple(checks)
