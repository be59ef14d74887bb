"""Plan: what to leave, what to go back to, and every reason for or against it. Changes nothing but the ledger."""

from datetime import datetime, timedelta

from rollback.check import Check, Verdict
from rollback.domain.plan import judge
from rollback.domain.releases.newer_release import Standing, newest_known_at
from rollback.domain.releases.release import Release
from rollback.domain.request import BY_HAND, RollbackType, Trigger
from rollback.domain.rollback import Outcome, Rollback
from rollback.errors import UnreadableItem
from rollback.guards.evidence import automatic_guards, traffic_guard
from rollback.guards.failed_deployment import revision_to_leave
from rollback.identity.candidates import candidates
from rollback.identity.identify import identify, is_ours
from rollback.identity.target_checks import asked, images_check, without_digest
from rollback.identity.task_definition import at_hand, standing_plan
from rollback.leases.holder import document
from rollback.names import TASKS_ARE_WANTED, family_of
from rollback.planning.database import guard_schema, undone_by, with_database
from rollback.planning.replaced_restore import waits_for_answer
from rollback.ports.world import World
from rollback.resources.aws.cloudformation_stack import StackState
from rollback.resources.aws.ecs_service import DeployedRevision, ServiceView
from rollback.service.newer_deployment import newer_release
from rollback.service.next_target import is_chosen, stand_in, told_of_readiness
from rollback.service.stack import known_stack

_EVENT_CLOCK = timedelta(seconds=5)  # events carry whole seconds, and another clock's


def plan(rollback: Rollback, world: World) -> Rollback:
    """Make the plan, and end here if it refuses, or if nothing may be done (dry run, observe)."""
    service, now, policy = world.settings.service(rollback.service_name), world.clock.now(), world.settings.policy
    patience = timedelta(minutes=policy.service_timeout_minutes)
    stack = known_stack(service, world)
    if stack.state is StackState.ROLLING_BACK and now - rollback.created_at < patience:
        reason = f"CloudFormation is rolling {service.stack} back by itself: planned when it has ended"
        return rollback.but(reason=reason, wait_seconds=policy.poll_seconds)
    waits = waits_for_answer(rollback, world)
    if waits is not None:
        return rollback.but(reason=waits, wait_seconds=policy.poll_seconds)
    view = world.services.look(service)
    before = goes_on_with(rollback, view, world)
    running, target = what_it_leaves(before)
    if running is None:
        found = identify(to_leave(rollback, view, world), view, service, world)
        world.ledger.record(found.release, found.definition)
        running = found.release
    undone = undone_by(rollback, world)
    if undone is not None and undone.plan is not None and rollback.request.type is RollbackType.FULL:
        target = undone.plan.running
    releases = candidates(rollback.request, service.name, running, world)
    standing = standing_plan(service.name, world)
    skipped: tuple[Check, ...] = ()
    instead = before.plan.stands_in_for if before is not None and before.plan is not None else ""
    if target is None:
        target, skipped, instead = stand_in(rollback, releases, running, standing, world)
    made = judge(rollback.request, rollback.trigger, releases, running, policy, now, target, goes_on=before is not None)
    checks = [
        *made.checks,
        *automatic_guards(rollback, running, view, world, before),
        traffic_guard(rollback, view, world),
        _is_a_release(rollback, running, world),
        _is_the_latest(rollback, view),
        *stack.doubts,
    ]
    if made.target is not None:
        checks += skipped or told_of_readiness(made.target, running, standing)
        checks += [_definition_is_stored(made.target, world), *_images_exist(made.target, world)]
    rollback, fits = guard_schema(rollback, made, world)
    changes = {"checks": (*checks, *fits), "newest_deployment_at": newest_known_at(view), "stands_in_for": instead}
    made = made.model_copy(update={**changes, "is_chosen": is_chosen(rollback, before)})
    planned = with_database(rollback, made, releases, world)
    return decided(rollback.but(plan=planned, wait_seconds=0), world, before)


def goes_on_with(rollback: Rollback, view: ServiceView, world: World) -> Rollback | None:
    """The rollback that was taken over, if it had come as far as to leave something; a person's, once it has a plan.

    What PRIMARY runs may be its target already: to step back from that would be one step too many. It may also have
    noticed that its lease is gone, and have ended for that alone. A person who names a version means what they say.
    What the team deployed after that plan is judged anew: nobody has judged it yet.
    """
    if rollback.supersedes is None or rollback.request.target_version is not None:
        return None
    before = document(rollback.supersedes, world)
    if before is None:
        return None
    stopped = before.superseded_by == rollback.id or before.was_stopped_half_way
    ended = before.outcome is not None and not stopped
    if before.plan is None or before.plan.target is None or ended:
        return None
    if not before.has_changed_data and not before.is_fenced:
        newer, standing = newer_release(before, view, world)
        if newer is not None and standing is not Standing.FAILED:
            return None
    acted = before.has_moved_service or before.has_changed_data
    begun = acted or (before.service is not None and before.service.intent is not None)
    return before if begun or before.trigger in BY_HAND else None


def what_it_leaves(before: Rollback | None) -> tuple[Release | None, Release | None]:
    """What the rollback that one goes on with was leaving, and for what."""
    return (before.plan.running, before.plan.target) if before is not None and before.plan is not None else (None, None)


def to_leave(rollback: Rollback, view: ServiceView, world: World) -> DeployedRevision:
    """What the service is to be moved away from (`model.failed_deployment`)."""
    window = timedelta(minutes=world.settings.policy.correlation_window_minutes)
    return revision_to_leave(
        view,
        failed_id=_failed_deployment(rollback),
        by_hand=rollback.trigger is Trigger.MANUAL,
        since=world.clock.now() - window,
    )


def _failed_deployment(rollback: Rollback) -> str | None:
    is_told = rollback.trigger is Trigger.DEPLOYMENT_FAILED and rollback.event is not None
    return rollback.event.deployment_id if is_told and rollback.event is not None else None


def decided(rollback: Rollback, world: World, before: Rollback | None = None) -> Rollback:
    """Where the plan's checks lead: on, or to an end with its reason.

    Args:
        before: the rollback that this one goes on with; what a person forced there is forced.
    """
    assert rollback.plan is not None  # noqa: S101 - set by the caller
    at_zero = next((c for c in rollback.plan.checks if c.name == TASKS_ARE_WANTED and c.verdict is Verdict.FAIL), None)
    if at_zero is not None:
        return _left_at_zero(rollback, at_zero, world)
    forced = rollback.request.force or (before is not None and before.request.force)
    refusals = rollback.plan.refusals(forced=forced)
    if refusals:
        leaves_alone = [c for c in refusals if c.suppresses]
        outcome = Outcome.SUPPRESSED if leaves_alone else Outcome.REFUSED
        reason = "; ".join(c.reason for c in (leaves_alone or refusals))
        return rollback.but(outcome=outcome, reason=reason, recheck_at=_look_again_at(rollback, leaves_alone))
    wanted = "dry run" if rollback.request.dry_run else "the environment only observes"
    if rollback.request.dry_run or world.settings.policy.mode == "observe":
        return rollback.but(outcome=Outcome.PLANNED, reason=f"{wanted}: {rollback.plan.way}")
    return rollback.but(reason=rollback.plan.way)


def _left_at_zero(rollback: Rollback, check: Check, world: World) -> Rollback:
    """Ended, whatever else speaks against acting: no task is wanted, or none has had time to start."""
    none_wanted = check.evidence["desired_count"] == 0
    return rollback.but(
        outcome=Outcome.SUPPRESSED,
        reason=check.reason,
        recheck_at=_look_again_at(rollback, [check]),
        at_zero_at=world.clock.now() if none_wanted else None,
    )


def _look_again_at(rollback: Rollback, suppressed_by: list[Check]) -> datetime | None:
    """When the last of the reasons may be over; a suppression for good needs no other look."""
    times = [check.look_again_at for check in suppressed_by]
    known = [at for at in times if at is not None]
    return max(known) if rollback.event is not None and known and len(known) == len(times) else None


def _is_a_release(rollback: Rollback, running: Release, world: World) -> Check:
    """Rule 5: deployments that we cause never trigger a rollback."""
    name, family = "deployment-is-a-release", family_of(running.definition_arn)
    if rollback.trigger is Trigger.DEPLOYMENT_FAILED and is_ours(running.definition_arn, world):
        reason = f"{family} was deployed by a rollback, not by a release"
        return Check.failed(name, reason, suppresses=True)
    return Check.passed(name, "not a deployment of ours that failed")


def _is_the_latest(rollback: Rollback, view: ServiceView) -> Check:
    """A deployment that began after the one that failed is somebody's fix: not to be replaced on old news."""
    name = "deployment-is-the-latest"
    if rollback.trigger is Trigger.DEPLOYMENT_FAILED and rollback.event is not None and view.newest is not None:
        began = view.newest.created_at
        if began > rollback.event.at + _EVENT_CLOCK:
            reason = f"another deployment began at {began:%H:%M:%S} UTC, after the one that failed"
            return Check.failed(name, reason, suppresses=True)
    return Check.passed(name, "no newer deployment than the one that is judged")


def _definition_is_stored(target: Release, world: World) -> Check:
    try:
        world.ledger.definition(target.definition_sha256)
    except (KeyError, UnreadableItem):
        registered = at_hand(target, world)
        if registered is not None:
            reason = f"the ledger has no readable copy of it, but {registered.rsplit('/', 1)[-1]} is registered for it"
            return Check.warned("definition-is-usable", reason)
        reason = f"the ledger has no readable copy of {target.version}'s task definition"
        return Check.failed("definition-is-usable", reason)
    return Check.passed("definition-is-usable", "its copy can be registered if need be")


def _images_exist(target: Release, world: World) -> tuple[Check, ...]:
    return without_digest(target) or (asked("image-exists", lambda: images_check(target, world)),)
