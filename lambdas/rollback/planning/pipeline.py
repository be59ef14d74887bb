"""The plan pipeline: inputs → running release → target → schema → checks → database → decision.

Plan and Emergency run the same pipeline with different recipes. A recipe says how the running release is identified,
how the target is chosen, and which checks are made.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from rollback.check import Check, Verdict
from rollback.domain.plan import Plan, draft_plan
from rollback.domain.releases.newer_release import DeploymentStatus, newest_known_at
from rollback.domain.releases.release import Release
from rollback.domain.request import OPERATOR_TRIGGERS, Trigger
from rollback.domain.rollback import Outcome, Rollback
from rollback.domain.settings.environment import ServiceSettings
from rollback.domain.standing_plan import StandingPlan
from rollback.errors import UnsupportedKind
from rollback.guards.failed_deployment import find_revision_to_replace
from rollback.identity.task_definition import read_standing_plan
from rollback.leases.holder import find_rollback
from rollback.names import DESIRED_COUNT_CHECK
from rollback.planning.approval import settle_approval
from rollback.planning.ports import DecisionPorts, PipelinePorts
from rollback.planning.read_changes import with_planned_changes
from rollback.ports.holders import HasClock
from rollback.resources.aws.ecs_service import DeployedRevision, ServiceView
from rollback.service.newer_deployment import find_newer_release
from rollback.service.next_target import is_operator_choice
from rollback.service.ports import NewerReleasePorts

# Ports of a recipe. The pipeline itself needs those of its bound.
PortsT = TypeVar("PortsT", bound=PipelinePorts)


@dataclass(frozen=True)
class PlanInputs:
    """Inputs that are read before anything is decided.

    Attributes:
        rollback: the rollback, as it was requested.
        service: settings of its service.
        view: the service as ECS describes it now.
        standing: the standing plan; None: there is none.
        resumed: the rollback that this one took over and continues; None: this rollback continues no other.
    """

    rollback: Rollback
    service: ServiceSettings
    view: ServiceView
    standing: StandingPlan | None
    resumed: Rollback | None

    @property
    def resumed_plan(self) -> Plan | None:
        """The plan of the rollback that this one continues."""
        return self.resumed.plan if self.resumed is not None else None


@dataclass(frozen=True)
class TargetChoice:
    """The target, and the releases that it was chosen from.

    Attributes:
        target: target release; None: `draft_plan` chooses among the releases, or refuses.
        releases: releases that the request may mean; empty where the target needed none.
        checks: why the target is not the last known good.
        skipped_last_known_good: version of the last known good if the target is another release instead.
    """

    target: Release | None
    releases: tuple[Release, ...] = ()
    checks: tuple[Check, ...] = ()
    skipped_last_known_good: str = ""


@dataclass(frozen=True)
class PlanRecipe(Generic[PortsT]):
    """The differences between an emergency's plan and any other.

    Attributes:
        identify_running: the release that the service is to be moved away from.
        choose_target: the target, given the running release.
        judge_schema: the schema check, and the rollback, which it may escalate to a full one.
        make_checks: all other checks, given the plan without them.
        name_skipped: version of a last known good that the plan skips; empty: it skips none.
        add_database: the plan with the database's part; None: the database stays as it is.
    """

    identify_running: Callable[[PlanInputs, PortsT], Release]
    choose_target: Callable[[PlanInputs, Release, PortsT], TargetChoice]
    judge_schema: Callable[[PlanInputs, Plan, PortsT], tuple[Rollback, tuple[Check, ...]]]
    make_checks: Callable[[PlanInputs, Plan, TargetChoice, PortsT], list[Check]]
    name_skipped: Callable[[PlanInputs, Plan, TargetChoice], str]
    add_database: Callable[[Rollback, Plan, tuple[Release, ...], PortsT], Plan] | None


def make_plan(rollback: Rollback, recipe: PlanRecipe[PortsT], ports: PortsT) -> Rollback:
    """Make the plan by a recipe, and decide whether the rollback goes on or ends here."""
    try:
        inputs = _read_inputs(rollback, ports)
    except UnsupportedKind as unsupported:
        check = Check.failed("service-is-supported", str(unsupported))
        admission = (*rollback.admission, check)
        return rollback.evolve(outcome=Outcome.REFUSED, reason=check.reason, admission=admission, wait_seconds=0)
    running = inputs.resumed_plan.running if inputs.resumed_plan is not None else recipe.identify_running(inputs, ports)
    choice = recipe.choose_target(inputs, running, ports)
    draft = draft_plan(
        rollback.request,
        rollback.trigger,
        choice.releases,
        running,
        ports.settings.policy,
        _judged_at(rollback, ports),
        choice.target,
        is_continuation=inputs.resumed is not None,
        triggered_at=rollback.event.at if rollback.event is not None else None,
    )
    rollback, schema_checks = recipe.judge_schema(inputs, draft, ports)
    if recipe.add_database is None and rollback.request.type is not inputs.rollback.request.type:
        # Escalated to a full rollback: the recipe that plans the database plans it again.
        admission = (*rollback.admission, *schema_checks)
        return rollback.evolve(admission=admission, reason=schema_checks[0].reason, wait_seconds=0)
    checks = (*recipe.make_checks(inputs, draft, choice, ports), *schema_checks)
    plan = draft.model_copy(
        update={
            "checks": checks,
            "newest_deployment_at": newest_known_at(inputs.view),
            "skipped_last_known_good": recipe.name_skipped(inputs, draft, choice),
            "is_operator_choice": is_operator_choice(rollback, inputs.resumed),
        }
    )
    if recipe.add_database is not None:
        plan = recipe.add_database(rollback, plan, choice.releases, ports)
    return decide(rollback, plan, ports, resumed=inputs.resumed)


def _read_inputs(rollback: Rollback, ports: NewerReleasePorts) -> PlanInputs:
    service = ports.settings.service(rollback.service_name)
    view = ports.services.describe(service)
    return PlanInputs(
        rollback=rollback,
        service=service,
        view=view,
        standing=read_standing_plan(service.name, ports),
        resumed=_find_rollback_to_resume(rollback, view, ports),
    )


def _find_rollback_to_resume(rollback: Rollback, view: ServiceView, ports: NewerReleasePorts) -> Rollback | None:
    """The rollback that was taken over and whose plan is kept; None: the plan is made again.

    A plan is kept once its rollback has begun to act; an operator's plan is kept as soon as it is made. PRIMARY may run
    that plan's target already, and a new plan would go back one release too many. The predecessor may have ended
    after it found its lease lost.

    An operator who names a version gets that version. A release that the team deployed after the kept plan was made is
    judged again, unless the database was changed or the service is fenced.
    """
    if rollback.continues_rollback_id is None or rollback.request.target_version is not None:
        return None
    predecessor = find_rollback(rollback.continues_rollback_id, ports)
    if predecessor is None or predecessor.plan is None or predecessor.plan.target is None or predecessor.is_drill:
        return None
    was_stopped = predecessor.taken_over_by == rollback.id or predecessor.is_aborted_midway
    if predecessor.outcome is not None and not was_stopped:
        return None
    if not predecessor.has_changed_data and not predecessor.is_fenced:
        newer_release, status = find_newer_release(predecessor, view, ports)
        if newer_release is not None and status is not DeploymentStatus.FAILED:
            return None
    has_begun = (
        predecessor.has_moved_service
        or predecessor.has_changed_data
        or (predecessor.service is not None and predecessor.service.intent is not None)
    )
    return predecessor if has_begun or predecessor.trigger in OPERATOR_TRIGGERS else None


def revision_to_replace(inputs: PlanInputs, ports: DecisionPorts) -> DeployedRevision:
    """The revision that the service is to be moved away from (`guards.failed_deployment`)."""
    rollback = inputs.rollback
    is_failed_deployment = rollback.trigger is Trigger.DEPLOYMENT_FAILED and rollback.event is not None
    return find_revision_to_replace(
        inputs.view,
        failed_id=rollback.event.deployment_id if is_failed_deployment and rollback.event is not None else None,
        by_operator=rollback.trigger is Trigger.MANUAL,
        since=_judged_at(rollback, ports) - timedelta(minutes=ports.settings.policy.correlation_window_minutes),
    )


def decide(rollback: Rollback, plan: Plan, ports: DecisionPorts, *, resumed: Rollback | None) -> Rollback:
    """Return the rollback with its plan; ended if the plan refuses, or if nothing may be done (dry run, observe).

    Args:
        rollback: the rollback.
        plan: its plan with all checks.
        ports: access to AWS, Neon and the ledger.
        resumed: the rollback that this one continues; a `--force` given there still holds.
    """
    rollback = rollback.evolve(plan=plan, wait_seconds=0)
    zero_tasks_check = next(
        (c for c in plan.checks if c.name == DESIRED_COUNT_CHECK and c.verdict is Verdict.FAIL), None
    )
    if zero_tasks_check is not None:
        return _suppress_at_zero_tasks(rollback, zero_tasks_check, ports)
    is_forced = rollback.request.force or (resumed is not None and resumed.request.force)
    refusals = plan.refusals(forced=is_forced)
    if refusals:
        suppressing = [check for check in refusals if check.suppresses]
        outcome = Outcome.SUPPRESSED if suppressing else Outcome.REFUSED
        reason = "; ".join(check.reason for check in (suppressing or refusals))
        rollback = with_planned_changes(rollback, ports) if rollback.request.dry_run else rollback
        return rollback.evolve(outcome=outcome, reason=reason, recheck_at=_recheck_at(rollback, suppressing))
    plan_only_reason = "dry run" if rollback.request.dry_run else "the environment only observes"
    if rollback.request.dry_run or ports.settings.policy.mode == "observe":
        rollback = with_planned_changes(rollback, ports)
        return rollback.evolve(outcome=Outcome.PLANNED, reason=f"{plan_only_reason}: {plan.summary}")
    settled = settle_approval(rollback.evolve(reason=plan.summary), plan, ports, resumed=resumed)
    return with_planned_changes(settled, ports) if settled.is_at_gate else settled


def _judged_at(rollback: Rollback, ports: HasClock) -> datetime:
    """The time at which a release counts as the cause: the wait at the gate makes no cause older."""
    gate = rollback.approval
    return gate.requested_at if gate is not None and gate.is_replan_due else ports.clock.now()


def _suppress_at_zero_tasks(rollback: Rollback, check: Check, ports: HasClock) -> Rollback:
    """End the rollback whatever the other checks say: the count is 0, or the tasks have had no time to start."""
    is_desired_count_zero = check.evidence["desired_count"] == 0
    return rollback.evolve(
        outcome=Outcome.SUPPRESSED,
        reason=check.reason,
        recheck_at=_recheck_at(rollback, [check]),
        zero_desired_seen_at=ports.clock.now() if is_desired_count_zero else None,
    )


def _recheck_at(rollback: Rollback, suppressing_checks: list[Check]) -> datetime | None:
    """When the last of the reasons may be over; None: a reason is final, or no event triggered the rollback."""
    due_times = [check.recheck_due_at for check in suppressing_checks]
    times = [at for at in due_times if at is not None]
    return max(times) if rollback.may_be_evaluated_again and times and len(times) == len(due_times) else None
