"""Plan: what to leave, what to go back to, and every reason for or against it. Changes nothing but the ledger."""

from datetime import datetime, timedelta

from rollback.check import Check, Verdict
from rollback.domain.plan import judge_plan
from rollback.domain.releases.newer_release import DeploymentStatus, newest_known_at
from rollback.domain.releases.release import Release
from rollback.domain.request import OPERATOR_TRIGGERS, RollbackType, Trigger
from rollback.domain.rollback import Outcome, Rollback
from rollback.errors import UnreadableItem
from rollback.guards.evidence import automatic_guards, traffic_guard
from rollback.guards.failed_deployment import find_revision_to_replace
from rollback.identity.candidates import candidates
from rollback.identity.identify import identify_release, is_ours
from rollback.identity.target_checks import check_digests_known, check_images_exist, run_check
from rollback.identity.task_definition import find_registered_definition, standing_plan
from rollback.leases.holder import find_rollback
from rollback.names import DESIRED_COUNT_CHECK, family_of
from rollback.planning.database import apply_schema_policy, find_rollback_to_undo, plan_database_part
from rollback.planning.replaced_restore import why_wait_for_other_restore
from rollback.ports.world import World
from rollback.resources.aws.cloudformation_stack import StackState
from rollback.resources.aws.ecs_service import DeployedRevision, ServiceView
from rollback.service.newer_deployment import newer_release
from rollback.service.next_target import check_target_readiness, choose_substitute_target, is_operator_choice
from rollback.service.stack import read_stack_status

_EVENT_CLOCK = timedelta(seconds=5)  # events carry whole seconds, and another clock's


def plan(rollback: Rollback, world: World) -> Rollback:
    """Make the plan, and end here if it refuses, or if nothing may be done (dry run, observe)."""
    service, now, policy = world.settings.service(rollback.service_name), world.clock.now(), world.settings.policy
    patience = timedelta(minutes=policy.service_timeout_minutes)
    stack = read_stack_status(service, world)
    if stack.state is StackState.ROLLING_BACK and now - rollback.created_at < patience:
        reason = f"CloudFormation is rolling {service.stack} back by itself: planned when it has ended"
        return rollback.evolve(reason=reason, wait_seconds=policy.poll_seconds)
    waits = why_wait_for_other_restore(rollback, world)
    if waits is not None:
        return rollback.evolve(reason=waits, wait_seconds=policy.poll_seconds)
    view = world.services.describe(service)
    before = find_rollback_to_resume(rollback, view, world)
    running, target = releases_of_resumed(before)
    if running is None:
        found = identify_release(release_to_replace(rollback, view, world), view, service, world)
        world.ledger.record(found.release, found.definition)
        running = found.release
    undone = find_rollback_to_undo(rollback, world)
    if undone is not None and undone.plan is not None and rollback.request.type is RollbackType.FULL:
        target = undone.plan.running
    releases = candidates(rollback.request, service.name, running, world)
    standing = standing_plan(service.name, world)
    skipped: tuple[Check, ...] = ()
    instead = before.plan.skipped_last_known_good if before is not None and before.plan is not None else ""
    if target is None:
        target, skipped, instead = choose_substitute_target(rollback, releases, running, standing, world)
    made = judge_plan(
        rollback.request, rollback.trigger, releases, running, policy, now, target, is_continuation=before is not None
    )
    checks = [
        *made.checks,
        *automatic_guards(rollback, running, view, world, before),
        traffic_guard(rollback, view, world),
        _check_is_a_release(rollback, running, world),
        _check_is_the_latest(rollback, view),
        *stack.doubts,
    ]
    if made.target is not None:
        checks += skipped or check_target_readiness(made.target, running, standing)
        checks += [_check_definition_is_stored(made.target, world), *_check_images_exist(made.target, world)]
    rollback, fits = apply_schema_policy(rollback, made, world)
    changes = {
        "checks": (*checks, *fits),
        "newest_deployment_at": newest_known_at(view),
        "skipped_last_known_good": instead,
    }
    made = made.model_copy(update={**changes, "is_operator_choice": is_operator_choice(rollback, before)})
    planned = plan_database_part(rollback, made, releases, world)
    return apply_plan_checks(rollback.evolve(plan=planned, wait_seconds=0), world, before)


def find_rollback_to_resume(rollback: Rollback, view: ServiceView, world: World) -> Rollback | None:
    """The rollback that was taken over, if it had come as far as to leave something; a person's, once it has a plan.

    What PRIMARY runs may be its target already: to step back from that would be one step too many. It may also have
    noticed that its lease is gone, and have ended for that alone. A person who names a version means what they say.
    What the team deployed after that plan is judged anew: nobody has judged it yet.
    """
    if rollback.supersedes is None or rollback.request.target_version is not None:
        return None
    before = find_rollback(rollback.supersedes, world)
    if before is None:
        return None
    stopped = before.superseded_by == rollback.id or before.is_aborted_midway
    ended = before.outcome is not None and not stopped
    if before.plan is None or before.plan.target is None or ended:
        return None
    if not before.has_changed_data and not before.is_fenced:
        newer, standing = newer_release(before, view, world)
        if newer is not None and standing is not DeploymentStatus.FAILED:
            return None
    acted = before.has_moved_service or before.has_changed_data
    begun = acted or (before.service is not None and before.service.intent is not None)
    return before if begun or before.trigger in OPERATOR_TRIGGERS else None


def releases_of_resumed(before: Rollback | None) -> tuple[Release | None, Release | None]:
    """What the rollback that one goes on with was leaving, and for what."""
    return (before.plan.running, before.plan.target) if before is not None and before.plan is not None else (None, None)


def release_to_replace(rollback: Rollback, view: ServiceView, world: World) -> DeployedRevision:
    """What the service is to be moved away from (`model.failed_deployment`)."""
    window = timedelta(minutes=world.settings.policy.correlation_window_minutes)
    return find_revision_to_replace(
        view,
        failed_id=_failed_deployment(rollback),
        by_hand=rollback.trigger is Trigger.MANUAL,
        since=world.clock.now() - window,
    )


def _failed_deployment(rollback: Rollback) -> str | None:
    is_told = rollback.trigger is Trigger.DEPLOYMENT_FAILED and rollback.event is not None
    return rollback.event.deployment_id if is_told and rollback.event is not None else None


def apply_plan_checks(rollback: Rollback, world: World, before: Rollback | None = None) -> Rollback:
    """Where the plan's checks lead: on, or to an end with its reason.

    Args:
        before: the rollback that this one goes on with; what a person forced there is forced.
    """
    assert rollback.plan is not None  # noqa: S101 - set by the caller
    at_zero = next(
        (c for c in rollback.plan.checks if c.name == DESIRED_COUNT_CHECK and c.verdict is Verdict.FAIL), None
    )
    if at_zero is not None:
        return _suppress_at_zero_tasks(rollback, at_zero, world)
    forced = rollback.request.force or (before is not None and before.request.force)
    refusals = rollback.plan.refusals(forced=forced)
    if refusals:
        leaves_alone = [c for c in refusals if c.suppresses]
        outcome = Outcome.SUPPRESSED if leaves_alone else Outcome.REFUSED
        reason = "; ".join(c.reason for c in (leaves_alone or refusals))
        return rollback.evolve(outcome=outcome, reason=reason, recheck_at=_recheck_at(rollback, leaves_alone))
    wanted = "dry run" if rollback.request.dry_run else "the environment only observes"
    if rollback.request.dry_run or world.settings.policy.mode == "observe":
        return rollback.evolve(outcome=Outcome.PLANNED, reason=f"{wanted}: {rollback.plan.way}")
    return rollback.evolve(reason=rollback.plan.way)


def _suppress_at_zero_tasks(rollback: Rollback, check: Check, world: World) -> Rollback:
    """Ended, whatever else speaks against acting: no task is wanted, or none has had time to start."""
    none_wanted = check.evidence["desired_count"] == 0
    return rollback.evolve(
        outcome=Outcome.SUPPRESSED,
        reason=check.reason,
        recheck_at=_recheck_at(rollback, [check]),
        zero_desired_seen_at=world.clock.now() if none_wanted else None,
    )


def _recheck_at(rollback: Rollback, suppressed_by: list[Check]) -> datetime | None:
    """When the last of the reasons may be over; a suppression for good needs no other look."""
    times = [check.recheck_due_at for check in suppressed_by]
    known = [at for at in times if at is not None]
    return max(known) if rollback.event is not None and known and len(known) == len(times) else None


def _check_is_a_release(rollback: Rollback, running: Release, world: World) -> Check:
    """Rule 5: deployments that we cause never trigger a rollback."""
    name, family = "deployment-is-a-release", family_of(running.definition_arn)
    if rollback.trigger is Trigger.DEPLOYMENT_FAILED and is_ours(running.definition_arn, world):
        reason = f"{family} was deployed by a rollback, not by a release"
        return Check.failed(name, reason, suppresses=True)
    return Check.passed(name, "not a deployment of ours that failed")


def _check_is_the_latest(rollback: Rollback, view: ServiceView) -> Check:
    """A deployment that began after the one that failed is somebody's fix: not to be replaced on old news."""
    name = "deployment-is-the-latest"
    if rollback.trigger is Trigger.DEPLOYMENT_FAILED and rollback.event is not None and view.newest is not None:
        began = view.newest.created_at
        if began > rollback.event.at + _EVENT_CLOCK:
            reason = f"another deployment began at {began:%H:%M:%S} UTC, after the one that failed"
            return Check.failed(name, reason, suppresses=True)
    return Check.passed(name, "no newer deployment than the one that is judged")


def _check_definition_is_stored(target: Release, world: World) -> Check:
    try:
        world.ledger.definition(target.definition_sha256)
    except (KeyError, UnreadableItem):
        registered = find_registered_definition(target, world)
        if registered is not None:
            reason = f"the ledger has no readable copy of it, but {registered.rsplit('/', 1)[-1]} is registered for it"
            return Check.warned("definition-is-usable", reason)
        reason = f"the ledger has no readable copy of {target.version}'s task definition"
        return Check.failed("definition-is-usable", reason)
    return Check.passed("definition-is-usable", "its copy can be registered if need be")


def _check_images_exist(target: Release, world: World) -> tuple[Check, ...]:
    return check_digests_known(target) or (run_check("image-exists", lambda: check_images_exist(target, world)),)
