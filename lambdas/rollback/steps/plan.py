"""Plan: what to leave, what to go back to, and every reason for or against it. Changes nothing but the ledger."""

from datetime import datetime, timedelta

from rollback.model.names import family_of, is_ours
from rollback.model.plan import NOT_THE_RELEASE, Check, Plan, Verdict, judge
from rollback.model.release import Release
from rollback.model.request import Trigger
from rollback.model.rollback import Outcome, Rollback
from rollback.model.service_view import ENDED_ELSEWHERE, ROLLING_BACK, ServiceView
from rollback.steps.ports import World
from rollback.steps.running import identify

_EVENT_CLOCK = timedelta(seconds=5)  # events carry whole seconds, and another clock's


def plan(rollback: Rollback, world: World) -> Rollback:
    """Make the plan, and end here if it refuses, or if nothing may be done (dry run, observe)."""
    service = world.settings.service(rollback.service_name)
    view = world.services.look(service)
    definition_arn, deployed_at = _to_leave(rollback, view, world)
    found = identify(definition_arn, deployed_at, view, service, world)
    world.ledger.record(found.release, found.definition)
    releases = world.ledger.releases(service.name)
    made = judge(rollback.request, rollback.trigger, releases, found.release, world.settings.policy, world.clock.now())
    checks = [
        *made.checks,
        _one_step_per_window(rollback, found.release, world),
        _is_a_release(rollback, definition_arn),
        _is_the_latest(rollback, view),
    ]
    if made.target is not None:
        checks += [_definition_is_stored(made.target, world), _images_exist(made.target, world)]
    return _decided(rollback.but(plan=made.model_copy(update={"checks": tuple(checks)})), world)


def _to_leave(rollback: Rollback, view: ServiceView, world: World) -> tuple[str, datetime]:
    """What PRIMARY runs; or what a deployment tried to bring, if ECS goes, or lately went, back from it.

    Then PRIMARY is the old release already, and to step back from that would be one step too many. A person, though,
    who asks after ECS has gone back means what runs.
    """
    newest = view.newest
    if newest is not None:
        window = timedelta(minutes=world.settings.policy.correlation_window_minutes)
        lately = world.clock.now() - newest.created_at < window
        went_back = rollback.trigger is not Trigger.MANUAL and newest.status in ENDED_ELSEWHERE and lately
        if newest.status in ROLLING_BACK or went_back:
            return newest.target_definition_arn, newest.created_at
    return view.primary.definition_arn, view.primary.created_at


def _decided(rollback: Rollback, world: World) -> Rollback:
    assert rollback.plan is not None  # noqa: S101 - set by the caller
    refusals = rollback.plan.refusals(forced=rollback.request.force)
    if refusals:
        not_the_release = [c for c in refusals if c.name in NOT_THE_RELEASE]
        outcome = Outcome.SUPPRESSED if not_the_release else Outcome.REFUSED
        return rollback.but(outcome=outcome, reason="; ".join(c.reason for c in (not_the_release or refusals)))
    wanted = "dry run" if rollback.request.dry_run else "the environment only observes"
    if rollback.request.dry_run or world.settings.policy.mode == "observe":
        return rollback.but(outcome=Outcome.PLANNED, reason=f"{wanted}: {_in_words(rollback.plan)}")
    return rollback.but(reason=_in_words(rollback.plan))


def _in_words(plan: Plan) -> str:
    target = plan.target.version if plan.target else "nothing"
    return f"{plan.running.version} → {target}"


def _acted_unseen(earlier: Rollback, running: Release) -> bool:
    """It died between its call and the save, and what it wanted runs: its intent was carried out."""
    intended = earlier.service is not None and earlier.service.intent is not None
    target = earlier.plan.target if earlier.plan is not None else None
    return intended and target is not None and target.fingerprint == running.fingerprint


def _one_step_per_window(rollback: Rollback, running: Release, world: World) -> Check:
    """Rule 7: one automatic step back per correlation window."""
    name = "one-step-per-window"
    if rollback.trigger is Trigger.MANUAL:
        return Check(name=name, verdict=Verdict.SKIPPED, reason="asked for by a person")
    window = timedelta(minutes=world.settings.policy.correlation_window_minutes)
    since = world.clock.now() - window
    for earlier in world.ledger.history(rollback.service_name):
        if earlier.created_at < since:
            break
        acted = earlier.has_acted or _acted_unseen(earlier, running)
        if earlier.id != rollback.id and acted:
            reason = f"{earlier.id} was a step back within the last {window.total_seconds() / 60:g} minutes"
            return Check(name=name, verdict=Verdict.FAIL, reason=reason, evidence={"earlier": earlier.id})
    return Check(name=name, verdict=Verdict.PASS, reason="no step back in the correlation window")


def _is_a_release(rollback: Rollback, definition_arn: str) -> Check:
    """Rule 5: deployments that we cause never trigger a rollback."""
    name = "deployment-is-a-release"
    if rollback.trigger is Trigger.DEPLOYMENT_FAILED and is_ours(family_of(definition_arn)):
        reason = f"{family_of(definition_arn)} was deployed by a rollback, not by a release"
        return Check(name=name, verdict=Verdict.FAIL, reason=reason)
    return Check(name=name, verdict=Verdict.PASS, reason="not a deployment of ours that failed")


def _is_the_latest(rollback: Rollback, view: ServiceView) -> Check:
    """A deployment that began after the one that failed is somebody's fix: not to be replaced on old news."""
    name = "deployment-is-the-latest"
    if rollback.trigger is Trigger.DEPLOYMENT_FAILED and rollback.event is not None and view.newest is not None:
        began = view.newest.created_at
        if began > rollback.event.at + _EVENT_CLOCK:
            reason = f"another deployment began at {began:%H:%M:%S} UTC, after the one that failed"
            return Check(name=name, verdict=Verdict.FAIL, reason=reason)
    return Check(name=name, verdict=Verdict.PASS, reason="no newer deployment than the one that is judged")


def _definition_is_stored(target: Release, world: World) -> Check:
    try:
        world.ledger.definition(target.definition_sha256)
    except KeyError:
        reason = f"the ledger has no copy of {target.version}'s task definition"
        return Check(name="definition-is-usable", verdict=Verdict.FAIL, reason=reason)
    return Check(name="definition-is-usable", verdict=Verdict.PASS, reason="its copy can be registered if need be")


def _images_exist(target: Release, world: World) -> Check:
    if not target.is_resolved:
        reason = f"{target.version} ran an image whose digest was never known"
        return Check(name="image-exists", verdict=Verdict.FAIL, reason=reason)
    found = {name: world.images.exists(image) for name, image in sorted(target.images.items())}
    missing = [target.images[name] for name, there in found.items() if there is False]
    unseen = [target.images[name] for name, there in found.items() if there is None]
    evidence = {"images": dict(sorted(target.images.items()))}
    if missing:
        reason = f"not in the registry: {', '.join(missing)}; build and push it again, or name another target"
        return Check(name="image-exists", verdict=Verdict.FAIL, reason=reason, evidence=evidence)
    if unseen:
        reason = f"can't be looked up: {', '.join(unseen)}"
        return Check(name="image-exists", verdict=Verdict.WARN, reason=reason, evidence=evidence)
    return Check(name="image-exists", verdict=Verdict.PASS, reason="by digest, in the registry", evidence=evidence)
