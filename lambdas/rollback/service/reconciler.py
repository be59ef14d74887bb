"""Service: bring the ECS service to the target, one safe move at a time.

One round is `observe`, `next_action` and `act`. A move that changes ECS is announced in one round and made in the next
(`rollback.intents.announce`).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from rollback.domain.database.progress import RecreateProgress
from rollback.domain.escalation import EscalationLevel
from rollback.domain.obligation import ObligationKind
from rollback.domain.releases.release import Release
from rollback.domain.request import RollbackType
from rollback.domain.rollback import DeployingRollback, Outcome, Rollback
from rollback.domain.service_progress import Intent, ServiceProgress
from rollback.domain.settings.environment import ServiceSettings
from rollback.errors import CallRefused, ExternalServiceError
from rollback.identity.identify import identify_deployment
from rollback.intents.announce import change_deadline
from rollback.leases.holder import find_rollback
from rollback.leases.ports import LeasePorts
from rollback.names import DESIRED_COUNT_CHECKS
from rollback.ports.holders import HasSettings, HasTargetGroups
from rollback.resources.aws.cloudformation_stack import StackState
from rollback.resources.aws.ecs_service import IN_FLIGHT, ROLLING_BACK, DeployedRevision, ServiceView
from rollback.service.actions import announce_change, is_intent_current, send_change
from rollback.service.drill_restart import is_overtaken, next_drill_move, recover_unsaved_drill_restart
from rollback.service.escalate import assess_service_health, count_healthy_targets, escalate
from rollback.service.newer_deployment import yield_to_newer_release
from rollback.service.next_action import (
    SERVICE_CHANGES,
    DrainStatus,
    ServiceMove,
    ServiceSnapshot,
    Situation,
    desired_count_for,
    next_restart_move,
    next_service_move,
)
from rollback.service.ports import DrainPorts, EscalationPorts, ServiceChangePorts, ServicePorts, ServiceReadPorts
from rollback.service.stack import read_stack_status
from rollback.service.zero_task_periods import record_service_running


@dataclass(frozen=True)
class ServiceObservation:
    """The present state of the service, with all facts that decide the next move.

    Attributes:
        deploying: the rollback with its target.
        view: ECS's description of the service.
        target_desired_count: desired count for the target.
        stack: activity of the CloudFormation stack.
        state: progress of a restart from zero that is under way; otherwise the deployments.
        is_stuck: the last change had no effect within its time limit.
    """

    deploying: DeployingRollback
    view: ServiceView
    target_desired_count: int
    stack: StackState
    state: DrainStatus | ServiceSnapshot
    is_stuck: bool = False


def service(rollback: Rollback, ports: ServicePorts) -> Rollback:
    """Observe the service once, and make at most one change.

    A strategy of a database has a fence and a clean-up around the same three parts. The service step has neither. If
    the service does not reach its target, the step escalates.
    """
    deploying = rollback.deploying(_new_progress(rollback, ports))
    if ports.clock.now() < _inherited_change_deadline(rollback, ports):
        return rollback.evolve(service=deploying.progress, wait_seconds=ports.settings.policy.poll_seconds)
    observation = observe(deploying, ports)
    if isinstance(observation, Rollback):
        return observation
    return act(next_action(observation), observation, ports)


def observe(deploying: DeployingRollback, ports: ServicePorts) -> ServiceObservation | Rollback:
    """Read the state of ECS, autoscaling, CloudFormation and the load balancer.

    Returns:
        The observation; or the document, if a newer release or a scaling to zero ends this round.
    """
    now, target, rollback = ports.clock.now(), deploying.target, deploying.rollback
    view = ports.services.describe(ports.settings.service(rollback.service_name))
    rollback = record_service_running(rollback, rollback.service_name, view, now)
    rollback, is_over = yield_to_newer_release(
        rollback.evolve(service=_recover_unsaved_restart(deploying.progress, view)), view, ports
    )
    if is_over:
        return rollback
    if view.desired_count == 0 and not rollback.is_fenced and _was_above_zero_at_plan(rollback):
        reason = describe_zero_desired_count(rollback, target, "no task was started")
        return rollback.evolve(outcome=Outcome.FAILED, reason=reason, wait_seconds=0)
    progress = rollback.service or deploying.progress
    if rollback.is_drill:
        progress = recover_unsaved_drill_restart(progress, view)
        if is_overtaken(progress, deploying.plan.baseline, view):
            reason = "another deployment began before the drill's own, so the drill made none"
            return rollback.evolve(outcome=Outcome.ABORTED, is_operator_abort=False, reason=reason, wait_seconds=0)
    else:
        progress = record_scaling_maximum(target, progress, view, ports)
    target_desired_count = _target_desired_count(rollback, target, progress, view, ports)
    progress, stack = _check_stack(progress, target, now, ports)
    state: DrainStatus | ServiceSnapshot
    if _is_restarting(progress, view, ports):
        state = read_drain_status(ports.settings.service(target.service), view, ports)
    else:
        state = _take_snapshot(view, progress, target, ports)
    return ServiceObservation(
        deploying=rollback.evolve(service=progress).deploying(),
        view=view,
        target_desired_count=target_desired_count,
        stack=stack,
        state=state,
        is_stuck=_is_stuck(progress, view, now, ports),
    )


def next_action(observation: ServiceObservation) -> ServiceMove:
    """Decide the next move. The same observation gives the same move."""
    progress = observation.deploying.progress
    if isinstance(observation.state, DrainStatus):
        move = next_restart_move(observation.state)
    else:
        situation = Situation(
            is_emergency=progress.escalation_level is not EscalationLevel.SERVICE,
            stack=observation.stack,
            is_stuck=observation.is_stuck,
        )
        move = next_service_move(
            observation.state, observation.deploying.target.fingerprint, observation.target_desired_count, situation
        )
    plan = observation.deploying.plan
    if plan.baseline is not None:
        return next_drill_move(move, progress, plan.baseline, observation.view.primary.id)
    is_settled = move in (ServiceMove.DONE, ServiceMove.WAIT_FOR_TARGET)
    return (
        ServiceMove.FORCE_NEW_DEPLOYMENT
        if is_settled and _has_old_secret(observation.deploying.rollback, progress)
        else move
    )


def act(move: ServiceMove, observation: ServiceObservation, ports: ServicePorts) -> Rollback:
    """End the step, escalate, wait, announce the move's change, or make the announced change."""
    now, rollback, progress = ports.clock.now(), observation.deploying.rollback, observation.deploying.progress
    if move is ServiceMove.DONE and (progress.reassert_until is None or now >= progress.reassert_until):
        return rollback.evolve(service=progress.evolve(done_at=now, intent=None), wait_seconds=0)
    limit = _level_timeout(progress.escalation_level, ports)
    if now - progress.escalation_level_since > limit:
        reason = f"{observation.deploying.target.version} did not settle in {limit.total_seconds() / 60:g} minutes"
        return _escalate_on_timeout(observation.deploying, reason, observation.view, ports)
    if move not in SERVICE_CHANGES:
        waiting_progress = progress.evolve(moves=_append_move(progress.moves, move))
        return rollback.evolve(service=waiting_progress, wait_seconds=ports.settings.policy.poll_seconds)
    if progress.intent is None or not is_intent_current(progress.intent, move, observation.view):
        return announce_change(observation.deploying, move, observation.view, observation.target_desired_count, ports)
    return _make_change(observation.deploying, progress.intent, move, observation.view, ports)


def describe_zero_desired_count(rollback: Rollback, target: Release, consequence: str) -> str:
    """Describe that the desired count was set to 0 during the rollback, and the way to run the target."""
    service_name = rollback.service_name
    command = (
        f"rollback start {rollback.environment} --service {service_name} --target-version {target.version} --reason '…'"
    )
    return (
        f"the desired count of {service_name} was set to 0 during the rollback, so {consequence}. "
        f"To run {target.version}: raise the desired count, then `{command}`"
    )


def _was_above_zero_at_plan(rollback: Rollback) -> bool:
    """Whether the desired count was above 0 when the plan was made. An operator may roll back a service at count 0."""
    checks = rollback.plan.checks if rollback.plan is not None else ()
    return any(c.name in DESIRED_COUNT_CHECKS and int(c.evidence.get("desired_count", 0)) > 0 for c in checks)


def _new_progress(rollback: Rollback, ports: ServicePorts) -> ServiceProgress:
    """Begin the step. After a takeover, the target is asserted until the predecessor's Lambda function has ended.

    Rule 9: the intent is written before the change, so a call of the predecessor may land until that time.
    """
    now = ports.clock.now()
    is_emergency = rollback.request.type is RollbackType.EMERGENCY
    limit = timedelta(seconds=ports.settings.policy.act_timeout_seconds)
    return ServiceProgress(
        started_at=now,
        escalation_level=EscalationLevel.EMERGENCY if is_emergency else EscalationLevel.SERVICE,
        escalation_level_since=now,
        reassert_until=(rollback.admitted_at or now) + limit if rollback.continues_rollback_id is not None else None,
    )


def _inherited_change_deadline(rollback: Rollback, ports: LeasePorts) -> datetime:
    """Return the time until which a database change may land that the predecessor announced before its takeover.

    Rule 9: the intent is written before the change.
    """
    predecessor = (
        find_rollback(rollback.continues_rollback_id, ports) if rollback.continues_rollback_id is not None else None
    )
    if predecessor is not None and predecessor.is_drill:  # it changes a preview branch only
        return rollback.created_at
    intent = predecessor.database.intent if predecessor is not None and predecessor.database is not None else None
    if intent is None:
        return rollback.created_at
    lost_answer_seconds = ports.settings.database.lost_answer_seconds if ports.settings.database is not None else 0
    return change_deadline(intent.last_sent_at, lost_answer_seconds, ports)


def _check_stack(
    progress: ServiceProgress, target: Release, now: datetime, ports: ServicePorts
) -> tuple[ServiceProgress, StackState]:
    """Ask CloudFormation for its activity. An emergency overrides CloudFormation (rule 6), and does not ask.

    An unknown state counts as an update under way, during which only StopServiceDeployment is safe. The rollback
    continues after `stuck_minutes`, or at once if CloudFormation refuses the call. Verify then finds an
    update that overwrites the target.
    """
    if progress.escalation_level is not EscalationLevel.SERVICE:
        return progress, StackState.STABLE
    stack = read_stack_status(ports.settings.service(target.service), ports)
    if stack.state is not StackState.NOT_KNOWN:
        return progress, stack.state
    patience = timedelta(minutes=ports.settings.policy.stuck_minutes)
    if not stack.is_for_good and now - progress.escalation_level_since < patience:
        return progress, StackState.UPDATING
    note = "CloudFormation could not be asked whether it changes the service; the rollback continued without an answer"
    return progress.add_note(note), StackState.STABLE


def _has_old_secret(rollback: Rollback, progress: ServiceProgress) -> bool:
    """Whether the tasks use the database's former address. A task reads the secret when it starts."""
    has_new_address = isinstance(rollback.database, RecreateProgress) and rollback.database.is_redeploy_needed
    return has_new_address and progress.acted_at is None


def _is_restarting(progress: ServiceProgress, view: ServiceView, ports: HasTargetGroups) -> bool:
    """Whether the restart from zero continues (rule 4: only with zero healthy targets)."""
    if progress.escalation_level is not EscalationLevel.RESTART_FROM_ZERO or progress.restarted_at is not None:
        return False
    healthy = count_healthy_targets(view, ports) if view.desired_count > 0 else ()
    return healthy is not None and not any(healthy)


def _take_snapshot(
    view: ServiceView, progress: ServiceProgress, target: Release, ports: ServiceReadPorts
) -> ServiceSnapshot:
    """Reduce the description to the facts that decide the next move.

    A definition that this rollback deployed counts as the target, so no update is sent twice. Such a definition names
    the service's image by digest.
    """
    primary, newest, service = view.primary, view.newest, ports.settings.service(target.service)
    is_deployed_by_this_rollback = primary.definition_arn == progress.target_definition_arn
    is_stoppable = newest is not None and newest.status in IN_FLIGHT and not progress.stop_refused
    source = newest.source if newest is not None and is_stoppable else None

    def fingerprint(revision: DeployedRevision) -> str:
        release = identify_deployment(revision, view, service, ports)
        return target.fingerprint if release.is_release(target) else release.fingerprint

    return ServiceSnapshot(
        primary_fingerprint=target.fingerprint if is_deployed_by_this_rollback else fingerprint(primary.deployed),
        is_primary_completed=primary.rollout_state == "COMPLETED",
        other_deployments=view.other_deployments,
        running_count=view.running_count,
        desired_count=view.desired_count,
        in_flight_source_fingerprint=fingerprint(source) if source is not None else None,
        is_ecs_rolling_back=newest is not None and newest.status in ROLLING_BACK,
    )


def read_drain_status(service: ServiceSettings, view: ServiceView, ports: DrainPorts) -> DrainStatus:
    """Read the progress of a service on its way to zero tasks."""
    scalable = ports.scaling.describe(service)
    return DrainStatus(
        is_scaling_active=scalable is not None and scalable.is_active,
        desired_count=view.desired_count,
        unstopped_tasks=ports.services.unstopped_tasks(service),
    )


def _target_desired_count(
    rollback: Rollback, target: Release, progress: ServiceProgress, view: ServiceView, ports: HasSettings
) -> int:
    """Return the desired count for the target: the largest of the current, the recorded and the fenced count.

    The fenced count was the desired count before the fence. Autoscaling's maximum bounds the recorded count.
    """
    if rollback.is_drill:
        return 0  # a drill leaves the count to ECS and to autoscaling
    fenced_counts = [
        int(obligation.before["desired_count"])
        for obligation in rollback.open_obligations()
        if obligation.kind is ObligationKind.FENCE and rollback.service_of_obligation(obligation) == target.service
    ]
    minimum = (
        ports.settings.policy.restart_desired_count
        if progress.escalation_level is EscalationLevel.RESTART_FROM_ZERO
        else 0
    )
    maximum = progress.scaling_maximum
    minimum = minimum if maximum is None else min(minimum, maximum)
    return max(desired_count_for(target, view.desired_count, maximum), minimum, *fenced_counts)


def record_scaling_maximum(
    target: Release, progress: ServiceProgress, view: ServiceView, ports: ServicePorts
) -> ServiceProgress:
    """Record autoscaling's maximum if the target was recorded with a higher desired count than the current one.

    Without an answer, the last known maximum holds. Without a known maximum, the recorded count is used and reported.
    """
    if target.desired_count <= view.desired_count:
        return progress
    recorded = f"{target.version} was recorded with a desired count of {target.desired_count}"
    try:
        scalable = ports.scaling.describe(ports.settings.service(target.service))
    except ExternalServiceError as failure:
        if progress.scaling_maximum is not None:
            return progress
        return progress.add_note(
            f"{recorded}, which was requested: Application Auto Scaling could not be asked ({failure})"
        )
    maximum = scalable.max_capacity if scalable is not None else None
    if maximum is not None and maximum < target.desired_count:
        progress = progress.add_note(f"{recorded}; autoscaling allows {maximum}, so {maximum} was requested")
    return progress.evolve(scaling_maximum=maximum)


def _recover_unsaved_restart(progress: ServiceProgress, view: ServiceView) -> ServiceProgress:
    """Crash recovery: a desired count above 0 proves that the unsaved restart happened."""
    intent = progress.intent
    if intent is None or intent.action != ServiceMove.START_FROM_ZERO or progress.restarted_at is not None:
        return progress
    if view.desired_count == 0:
        return progress
    return progress.evolve(restarted_at=intent.at, intent=None)


def _is_stuck(progress: ServiceProgress, view: ServiceView, now: datetime, ports: HasSettings) -> bool:
    """Whether to force a deployment: tasks did not start in time, or ECS marked the deployment FAILED.

    A deployment is forced once, and never after a restart from zero.
    """
    if progress.redeployment_forced_at is not None or progress.restarted_at is not None:
        return False
    acted_at = progress.acted_at or progress.started_at
    since = max(acted_at, progress.started_at, progress.target_since or progress.started_at)
    is_overdue = now - since > timedelta(minutes=ports.settings.policy.stuck_minutes)
    has_too_few_tasks = (
        view.primary.running_count < view.desired_count
    )  # tasks of other deployments may take minutes to drain
    return (is_overdue and has_too_few_tasks) or (
        progress.acted_at is not None and view.primary.rollout_state == "FAILED"
    )


def _escalate_on_timeout(
    deploying: DeployingRollback, reason: str, view: ServiceView, ports: EscalationPorts
) -> Rollback:
    """Escalate, unless the target is healthy while old tasks drain. In that case Verify decides."""
    is_restart_missing = deploying.rollback.is_drill and deploying.progress.acted_at is None
    if not is_restart_missing and assess_service_health(deploying.rollback, view, ports).is_healthy:
        settled_progress = deploying.progress.evolve(done_at=ports.clock.now(), intent=None)
        return deploying.rollback.evolve(service=settled_progress, wait_seconds=0)
    return escalate(deploying.rollback, reason, view, ports)


def _level_timeout(escalation_level: EscalationLevel, ports: HasSettings) -> timedelta:
    policy = ports.settings.policy
    minutes = {
        EscalationLevel.SERVICE: policy.service_timeout_minutes,
        EscalationLevel.EMERGENCY: policy.emergency_timeout_minutes,
        EscalationLevel.RESTART_FROM_ZERO: policy.restart_timeout_minutes,
    }
    return timedelta(minutes=minutes[escalation_level])


def _make_change(
    deploying: DeployingRollback, intent: Intent, move: ServiceMove, view: ServiceView, ports: ServiceChangePorts
) -> Rollback:
    rollback, progress = deploying.rollback, deploying.progress
    try:
        send_change(rollback, move, intent, view, ports)
    except CallRefused as refusal:
        if move is not ServiceMove.STOP_DEPLOYMENT:
            raise
        return rollback.evolve(service=progress.evolve(intent=None, stop_refused=str(refusal)), wait_seconds=0)
    now = ports.clock.now()
    progress_after_change = progress.evolve(
        intent=None,
        acted_at=progress.acted_at or now,
        redeployment_forced_at=now if move is ServiceMove.FORCE_NEW_DEPLOYMENT else progress.redeployment_forced_at,
        restarted_at=now if move is ServiceMove.START_FROM_ZERO else progress.restarted_at,
        moves=_append_move(progress.moves, move),
    )
    return rollback.evolve(service=progress_after_change, wait_seconds=ports.settings.policy.poll_seconds)


def _append_move(moves: tuple[str, ...], move: ServiceMove) -> tuple[str, ...]:
    return moves if moves and moves[-1] == move else (*moves, move)
