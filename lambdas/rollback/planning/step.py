"""Plan: the running release, the target, and every check for or against the rollback. Changes only the ledger."""

from datetime import timedelta

from rollback.check import Check
from rollback.domain.plan import Plan
from rollback.domain.releases.release import Release
from rollback.domain.request import DATABASE_TYPES, RollbackType, Trigger
from rollback.domain.rollback import Rollback
from rollback.domain.target_readiness import check_digests_known
from rollback.errors import UnreadableItem
from rollback.guards.evidence import automatic_guards, traffic_guard
from rollback.identity.candidates import list_candidates
from rollback.identity.identify import identify_release, is_registered_by_rollback
from rollback.identity.ports import DefinitionPorts
from rollback.identity.target_checks import check_images_exist, run_check
from rollback.identity.task_definition import find_registered_definition
from rollback.leases.holder import find_rollback
from rollback.leases.ports import LeasePorts
from rollback.names import family_of
from rollback.planning.approval import as_requested
from rollback.planning.database import find_rollback_to_undo, plan_database_part
from rollback.planning.pipeline import PlanInputs, PlanRecipe, TargetChoice, make_plan, revision_to_replace
from rollback.planning.ports import PlanPorts
from rollback.planning.schema_policy import judge_observed_schema
from rollback.ports.holders import HasImages, HasServices
from rollback.resources.aws.cloudformation_stack import StackState
from rollback.resources.aws.ecs_service import ServiceView
from rollback.service.next_target import check_target_readiness, choose_substitute_target
from rollback.service.stack import StackStatus, read_stack_status

_MAX_CLOCK_SKEW = timedelta(seconds=5)  # events carry whole seconds, of another clock


def plan(rollback: Rollback, ports: PlanPorts) -> Rollback:
    """Make the plan after CloudFormation's own rollback, and the change of a replaced rollback, have ended."""
    policy, service = ports.settings.policy, ports.settings.service(rollback.service_name)
    stack = read_stack_status(service, ports)
    patience = timedelta(minutes=policy.service_timeout_minutes)
    if stack.state is StackState.ROLLING_BACK and ports.clock.now() - rollback.created_at < patience:
        reason = (
            f"CloudFormation is rolling back stack {service.stack}: the plan is made once CloudFormation has finished"
        )
        return rollback.evolve(reason=reason, wait_seconds=policy.poll_seconds)
    wait_reason = _why_wait_for_other_restore(rollback, ports)
    if wait_reason is not None:
        return rollback.evolve(reason=wait_reason, wait_seconds=policy.poll_seconds)
    return make_plan(as_requested(rollback), _recipe(stack), ports)


def _why_wait_for_other_restore(rollback: Rollback, ports: LeasePorts) -> str | None:
    """Return the reason to wait before the database is planned; None: no change of the predecessor is pending.

    The predecessor's Conclude gives up after half of its time limit, and records that the outcome is not known. After
    the whole limit no outcome will come: the plan then assumes that the predecessor's restore was made.
    """
    if rollback.continues_rollback_id is None or rollback.request.type not in DATABASE_TYPES:
        return None
    predecessor = find_rollback(rollback.continues_rollback_id, ports)
    if predecessor is None or predecessor.database is None or not predecessor.database.has_unconfirmed_change:
        return None
    since = rollback.admitted_at or rollback.created_at
    if ports.clock.now() - since > timedelta(minutes=ports.settings.policy.conclude_timeout_minutes):
        return None
    return f"{predecessor.id} has sent a change of the database: the plan is made once Neon has reported its outcome"


def _recipe(stack: StackStatus) -> PlanRecipe[PlanPorts]:
    def make_checks(inputs: PlanInputs, draft: Plan, choice: TargetChoice, ports: PlanPorts) -> list[Check]:
        return _make_checks(inputs, draft, choice, stack, ports)

    return PlanRecipe(
        identify_running=_record_running,
        choose_target=_choose_target,
        judge_schema=judge_observed_schema,
        make_checks=make_checks,
        name_skipped=_name_skipped,
        add_database=plan_database_part,
    )


def _record_running(inputs: PlanInputs, ports: PlanPorts) -> Release:
    """Identify the release to replace, and record it in the ledger."""
    identified = identify_release(revision_to_replace(inputs, ports), inputs.view, inputs.service, ports)
    ports.ledger.record(identified.release, identified.definition)
    return identified.release


def _choose_target(inputs: PlanInputs, running: Release, ports: PlanPorts) -> TargetChoice:
    """The release that an undo brings back, else the resumed plan's target, else a substitute for the last known good.

    Without any of them `draft_plan` chooses.
    """
    rollback, resumed_plan = inputs.rollback, inputs.resumed_plan
    target = resumed_plan.target if resumed_plan is not None else None
    undone_rollback = find_rollback_to_undo(rollback, ports)
    if undone_rollback is not None and undone_rollback.plan is not None and rollback.request.type is RollbackType.FULL:
        target = undone_rollback.plan.running
    releases = list_candidates(rollback.request, inputs.service.name, running, ports)
    if target is not None:
        skipped_version = resumed_plan.skipped_last_known_good if resumed_plan is not None else ""
        return TargetChoice(target, releases, skipped_last_known_good=skipped_version)
    target, checks, skipped_version = choose_substitute_target(rollback, releases, running, inputs.standing, ports)
    return TargetChoice(target, releases, checks, skipped_version)


def _name_skipped(inputs: PlanInputs, draft: Plan, choice: TargetChoice) -> str:  # noqa: ARG001 - the recipe's shape
    return choice.skipped_last_known_good


def _make_checks(
    inputs: PlanInputs, draft: Plan, choice: TargetChoice, stack: StackStatus, ports: PlanPorts
) -> list[Check]:
    rollback, running, target = inputs.rollback, draft.running, draft.target
    checks = [
        *draft.checks,
        *automatic_guards(rollback, running, inputs.view, ports, inputs.resumed),
        traffic_guard(rollback, inputs.view, ports),
        _check_is_a_release(rollback, running, ports),
        _check_is_the_latest(rollback, inputs.view),
        *stack.doubts,
    ]
    if target is not None:
        checks += choice.checks or check_target_readiness(target, running, inputs.standing)
        checks += [_check_definition_is_stored(target, ports), *_check_images_exist(target, ports)]
    return checks


def _check_is_a_release(rollback: Rollback, running: Release, ports: HasServices) -> Check:
    """Rule 5: deployments that a rollback makes never trigger a rollback."""
    name, family = "deployment-is-a-release", family_of(running.definition_arn)
    if rollback.trigger is Trigger.DEPLOYMENT_FAILED and is_registered_by_rollback(running.definition_arn, ports):
        reason = f"{family} was deployed by a rollback, not by a release"
        return Check.failed(name, reason, suppresses=True)
    return Check.passed(name, "the failed deployment is not a rollback's")


def _check_is_the_latest(rollback: Rollback, view: ServiceView) -> Check:
    """Check that no deployment began after the failed one: a later deployment may be the team's fix."""
    name = "deployment-is-the-latest"
    if rollback.trigger is Trigger.DEPLOYMENT_FAILED and rollback.event is not None and view.newest is not None:
        began_at = view.newest.created_at
        if began_at > rollback.event.at + _MAX_CLOCK_SKEW:
            reason = f"another deployment began at {began_at:%H:%M:%S} UTC, after the one that failed"
            return Check.failed(name, reason, suppresses=True)
    return Check.passed(name, "no deployment is newer than the failed deployment")


def _check_definition_is_stored(target: Release, ports: DefinitionPorts) -> Check:
    try:
        ports.ledger.definition(target.definition_sha256)
    except (KeyError, UnreadableItem):
        definition_arn = find_registered_definition(target, ports)
        if definition_arn is not None:
            short_arn = definition_arn.rsplit("/", 1)[-1]
            reason = f"the ledger has no readable copy of the definition, but {short_arn} is registered"
            return Check.warned("definition-is-usable", reason)
        reason = f"the ledger has no readable copy of {target.version}'s task definition"
        return Check.failed("definition-is-usable", reason)
    return Check.passed("definition-is-usable", "the ledger has a copy that can be registered")


def _check_images_exist(target: Release, ports: HasImages) -> tuple[Check, ...]:
    return check_digests_known(target) or (run_check("image-exists", lambda: check_images_exist(target, ports)),)
