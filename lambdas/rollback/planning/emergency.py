"""The plan of an emergency: made from the standing plan, which is one item of the ledger.

The plan needs ECS and the ledger, and no other AWS service. The guards of an automatic trigger (pause, budget,
one step per window) hold for an emergency too.
"""

from datetime import datetime

from rollback.check import Check
from rollback.domain.database.schema_verdict import Compatibility, SchemaVerdict, unknown_verdict
from rollback.domain.plan import Plan
from rollback.domain.releases.identity import find_matching_release
from rollback.domain.releases.release import Release, last_known_good
from rollback.domain.request import SERVICE_ONLY_TYPES
from rollback.domain.rollback import Rollback
from rollback.domain.standing_plan import StandingPlan
from rollback.domain.target_readiness import check_digests_known
from rollback.errors import RollbackError
from rollback.guards.evidence import automatic_guards
from rollback.identity.candidates import list_candidates
from rollback.identity.identify import build_release, find_known_release
from rollback.planning.drill import draft_drill_plan
from rollback.planning.pipeline import PlanInputs, PlanRecipe, TargetChoice, decide, make_plan, revision_to_replace
from rollback.planning.ports import EmergencyPlanPorts
from rollback.planning.schema_policy import apply_schema_verdict
from rollback.ports.holders import HasLedger
from rollback.schema.compatibility_check import CHECK_NAME
from rollback.schema.ports import SchemaVerdictPorts
from rollback.schema.verdict_from_ledger import schema_verdict
from rollback.service.next_target import (
    check_target_readiness,
    choose_standing_target,
    is_operator_choice,
    skipped_last_known_good,
)


def plan_emergency(rollback: Rollback, ports: EmergencyPlanPorts) -> Rollback:
    """Make an emergency's plan. If the schema escalates the rollback to a full one, Plan makes the plan instead."""
    if rollback.is_drill:
        return decide(rollback, draft_drill_plan(rollback, ports), ports, resumed=None)
    recipe = PlanRecipe(
        identify_running=_identify_running,
        choose_target=_choose_target,
        judge_schema=_judge_schema,
        make_checks=_make_checks,
        name_skipped=_name_skipped,
        add_database=None,
    )
    return make_plan(rollback, recipe, ports)


def _identify_running(inputs: PlanInputs, ports: EmergencyPlanPorts) -> Release:
    """The release to replace, with its evidence from the standing plan, else from one request of the ledger.

    A ledger that does not answer, or a record that can't be read, delays no emergency: the release then counts as one
    without evidence.
    """
    described = build_release(revision_to_replace(inputs, ports), inputs.view, inputs.service, ports)
    standing_plan = inputs.standing
    known_release = (
        find_matching_release(described.identity, (target.release for target in standing_plan.targets))
        if standing_plan is not None
        else None
    )
    if known_release is not None:
        return known_release
    try:
        return find_known_release(described.release.service, described.identity, ports) or described.release
    except RollbackError:
        return described.release


def _choose_target(inputs: PlanInputs, running: Release, ports: HasLedger) -> TargetChoice:
    """The resumed plan's target, else the standing plan's. Without either, or for a named version, read the ledger."""
    request, resumed, standing_plan = inputs.rollback.request, inputs.resumed_plan, inputs.standing
    target = resumed.target if resumed is not None else None
    if target is None and request.target_version is None and standing_plan is not None:
        standing_target = choose_standing_target(standing_plan, running.fingerprint)
        target = standing_target.release if standing_target is not None else None
    if target is not None:
        return TargetChoice(target)
    releases = list_candidates(request, inputs.service.name, running, ports)
    newest = last_known_good(releases, running.fingerprint) if request.target_version is None else None
    return TargetChoice(newest, releases)


def _name_skipped(inputs: PlanInputs, draft: Plan, choice: TargetChoice) -> str:  # noqa: ARG001 - the recipe's shape
    if is_operator_choice(inputs.rollback, inputs.resumed):
        return ""
    return skipped_last_known_good(draft.target, draft.running, inputs.standing)


def _make_checks(
    inputs: PlanInputs,
    draft: Plan,
    choice: TargetChoice,  # noqa: ARG001 - the recipe's shape
    ports: EmergencyPlanPorts,
) -> list[Check]:
    target, running = draft.target, draft.running
    return [
        *draft.checks,
        *(check_digests_known(target) if target is not None else ()),
        _check_standing_plan(inputs.standing, target),
        *(check_target_readiness(target, running, inputs.standing) if target is not None else ()),
        *automatic_guards(inputs.rollback, running, inputs.view, ports, inputs.resumed),
    ]


def _check_standing_plan(standing_plan: StandingPlan | None, target: Release | None) -> Check:
    name = "target-is-in-standing-plan"
    if standing_plan is not None and target is not None and standing_plan.definition_of(target.fingerprint) is not None:
        reason = f"computed at {standing_plan.computed_at:%Y-%m-%d %H:%M} UTC, definition registered"
        return Check.passed(name, reason)
    return Check.warned(name, "the target is not in the standing plan")


def _judge_schema(inputs: PlanInputs, draft: Plan, ports: SchemaVerdictPorts) -> tuple[Rollback, tuple[Check, ...]]:
    """Apply rule 12 (breaking or unknown schema: refuse, and offer full); a resumed rollback keeps its check.

    A resumed rollback that included the database does not: its target fitted the restored data, which says nothing
    about a rollback of the service alone.
    """
    rollback, resumed = inputs.rollback, inputs.resumed
    if draft.target is None:
        return rollback, ()
    was_service_only = resumed is not None and resumed.request.type in SERVICE_ONLY_TYPES
    earlier_checks = inputs.resumed_plan.checks if was_service_only and inputs.resumed_plan is not None else ()
    kept_checks = tuple(check for check in earlier_checks if check.name == CHECK_NAME)
    if kept_checks:
        return rollback, kept_checks
    verdict = _standing_schema_verdict(draft.target, draft.running, inputs.standing, ports)
    return apply_schema_verdict(rollback, draft.target, verdict, ports)


def _standing_schema_verdict(
    target: Release, running: Release, standing_plan: StandingPlan | None, ports: SchemaVerdictPorts
) -> SchemaVerdict | None:
    """The standing plan's verdict, if the database was observed after the running release was deployed.

    Returns:
        None: the service writes to no database.
    """
    if not ports.settings.writes_to_observed_branch(target.service):
        return None
    standing_target = standing_plan.target_of(target.fingerprint) if standing_plan is not None else None
    observed_at = standing_plan.database_seen_at if standing_plan is not None else None
    if standing_target is None or standing_target.schema_verdict is None:
        return schema_verdict(target, ports, running)
    if observed_at is None or observed_at >= running.first_deployed_at:
        is_compatible = standing_target.schema_verdict.compatibility is Compatibility.COMPATIBLE
        is_old = is_compatible and observed_at is not None and _has_later_checkpoint(observed_at, ports)
        return schema_verdict(target, ports, running) if is_old else standing_target.schema_verdict
    return unknown_verdict(
        f"the database was last observed on {observed_at:%Y-%m-%d %H:%M} UTC, before {running.version} was deployed"
    )


def _has_later_checkpoint(observed_at: datetime, ports: SchemaVerdictPorts) -> bool:
    """Whether a pipeline may have migrated since the observation: one query, which mostly finds nothing."""
    database = ports.settings.database
    points = ports.ledger.restore_points(database.branch_key(None), since=observed_at) if database is not None else ()
    return any(point.by == "checkpoint" for point in points)
