"""Conclude: put back what was changed, judge what was left, tell people, close. Always reached, however it went.

Each call does one thing and returns, so that each is saved; called again after a crash, it looks before it acts.
A page goes out before anything else: nobody should wait for our tidying up.
"""

from datetime import datetime, timedelta

from rollback.model.errors import Conflict, LeaseLost, OutsideFailure, UnsupportedService
from rollback.model.release import Release, ReleaseState
from rollback.model.report import is_page, message, report_id, subject
from rollback.model.request import Trigger
from rollback.model.rollback import OPERATOR, Obligation, Outcome, Rollback
from rollback.model.service_move import Move
from rollback.steps.ports import World


def conclude(rollback: Rollback, world: World) -> Rollback:
    """The next thing that is still to be done before the rollback is over."""
    now = world.clock.now()
    if rollback.outcome is None:
        return rollback.but(outcome=Outcome.FAILED, reason=rollback.reason or "ended before it had an outcome")
    if rollback.concluding_since is None:
        return rollback.but(concluding_since=now, wait_seconds=0)
    if is_page(rollback) and not rollback.reported:
        sent = _report(rollback, world)
        if sent.reported:
            return sent
    if rollback.service is not None and rollback.service.intent is not None:
        return _see_what_became_of_the_intent(rollback, now, world)
    owed = next(iter(rollback.open_obligations()), None)
    if owed is not None:
        return _put_back(rollback, owed, now, world)
    _judge_what_was_left(rollback, now, world)
    if not rollback.reported:
        sent = _report(rollback, world)
        if sent.reported or not _gave_up(rollback, now, world):
            return sent
    world.metrics.concluded(rollback)
    return rollback.but(concluded_at=now, wait_seconds=0)


def send_report(rollback: Rollback, world: World) -> None:
    """Publish the report; `report_id` lets a reader tell a copy."""
    attributes = {
        "report_id": report_id(rollback),
        "outcome": str(rollback.outcome),
        "environment": rollback.environment,
        "severity": "page" if is_page(rollback) else "info",
    }
    world.notifications.publish(subject(rollback), message(rollback), attributes)


def _see_what_became_of_the_intent(rollback: Rollback, now: datetime, world: World) -> Rollback:
    """A call that was announced may still land until its function's time is over (rule 9); then PRIMARY tells."""
    assert rollback.service is not None  # noqa: S101 - the caller looked
    intent = rollback.service.intent
    assert intent is not None  # noqa: S101
    if now < intent.at + timedelta(seconds=world.settings.policy.act_timeout_seconds):
        return rollback.but(wait_seconds=world.settings.policy.poll_seconds)
    acted_at = rollback.service.acted_at
    if intent.action == Move.UPDATE_SERVICE:
        try:
            view = world.services.look(world.settings.service(rollback.service_name))
            if view.primary.definition_arn == intent.arguments.get("definition_arn"):
                acted_at = acted_at or intent.at
        except UnsupportedService:
            pass  # the service is gone: there is nothing to see
        except OutsideFailure:
            if not _gave_up(rollback, now, world):
                return rollback.but(wait_seconds=world.settings.policy.poll_seconds)
    seen = rollback.service.model_copy(update={"intent": None, "acted_at": acted_at})
    return rollback.but(service=seen, wait_seconds=0)


def _put_back(rollback: Rollback, owed: Obligation, now: datetime, world: World) -> Rollback:
    """Rule 5: the recorded parts of the deployment configuration, once PRIMARY is COMPLETED, and under the lease only.

    What others changed of it meanwhile stays.
    """
    policy = world.settings.policy
    until = now + timedelta(minutes=policy.lease_minutes)
    lease = world.ledger.acquire(rollback.service_name, rollback.id, now, until)
    if lease is None:
        return _leave_to_the_holder(rollback, owed, now, world)
    if lease.counter != rollback.lease_counter:
        return rollback.but(lease_counter=lease.counter, wait_seconds=0)
    try:
        world.ledger.renew(lease, now, until)  # rule 9: one that was held already may end any moment
    except LeaseLost:
        return rollback.but(wait_seconds=policy.poll_seconds)
    service = world.settings.service(rollback.service_name)
    try:
        view = world.services.look(service)
        current = view.deployment_configuration
        if all(current.get(part) == was for part, was in owed.before.items()):
            return _settle(rollback, owed, discharged_at=now)
        if view.primary.rollout_state == "COMPLETED":
            world.services.update(service, deployment_configuration={**current, **owed.before})
    except (OutsideFailure, UnsupportedService):
        pass  # looked at again below, until the time is over
    if _gave_up(rollback, now, world):
        return _hand_to_operator(rollback, owed)
    return rollback.but(wait_seconds=policy.poll_seconds)  # only what is seen is discharged


def _leave_to_the_holder(rollback: Rollback, owed: Obligation, now: datetime, world: World) -> Rollback:
    """Whoever took an expired lease over has inherited the obligation, once its document says so."""
    held = world.ledger.lease(rollback.service_name)
    if held is not None:
        try:
            heir = world.ledger.read(rollback.service_name, held.holder)
        except KeyError:
            heir = None
        if heir is not None and any(o.kind is owed.kind for o in heir.obligations):
            return _settle(rollback, owed, handed_to=heir.id)
    if _gave_up(rollback, now, world):
        return _hand_to_operator(rollback, owed)
    return rollback.but(wait_seconds=world.settings.policy.poll_seconds)


def _hand_to_operator(rollback: Rollback, owed: Obligation) -> Rollback:
    """A person has to do it: a report that said otherwise is followed by another."""
    return _settle(rollback, owed, handed_to=OPERATOR).but(reported=False)


def _settle(rollback: Rollback, owed: Obligation, **how: object) -> Rollback:
    settled = Obligation.model_validate({**dict(owed), **how})
    obligations = list(rollback.obligations)
    last = max(i for i, o in enumerate(obligations) if o == owed)
    obligations[last] = settled
    return rollback.but(obligations=tuple(obligations), wait_seconds=0)


def _judge_what_was_left(rollback: Rollback, now: datetime, world: World) -> None:
    """Suspect once we acted, quarantined once things were verified better without it. Retried, it finds it done.

    A step forward is no evidence against what was left; neither is a person's choice to leave a promoted release, nor
    a rollback that failed.
    """
    if rollback.plan is None or rollback.plan.target is None or not rollback.has_acted:
        return
    succeeded = rollback.outcome is Outcome.SUCCEEDED
    target, left = (_in_ledger(release, world) for release in (rollback.plan.target, rollback.plan.running))
    if succeeded and target is not None and target.state in (ReleaseState.SUSPECT, ReleaseState.QUARANTINED):
        _judge(target, ReleaseState.CANDIDATE, f"went back to by {rollback.id}, and verified", now, world)
    if left is None or rollback.plan.target.first_deployed_at > left.first_deployed_at:
        return
    if left.state is ReleaseState.PROMOTED and (rollback.trigger is Trigger.MANUAL or not succeeded):
        return
    state = ReleaseState.QUARANTINED if succeeded else ReleaseState.SUSPECT
    if left.state not in (state, ReleaseState.QUARANTINED):
        _judge(left, state, f"left by {rollback.id}", now, world)


def _judge(release: Release, state: ReleaseState, reason: str, now: datetime, world: World) -> None:
    try:
        world.ledger.judge(release, state, now, reason)
    except Conflict:
        return  # judged by somebody else meanwhile: a later verdict than ours


def _in_ledger(release: Release, world: World) -> Release | None:
    known = world.ledger.releases(release.service)
    return next((r for r in known if r.fingerprint == release.fingerprint), None)


def _report(rollback: Rollback, world: World) -> Rollback:
    try:
        send_report(rollback, world)
    except OutsideFailure:
        return rollback.but(wait_seconds=world.settings.policy.poll_seconds)
    return rollback.but(reported=True, wait_seconds=0)


def _gave_up(rollback: Rollback, now: datetime, world: World) -> bool:
    """Conclusion must not wait for ever: what is undone by then is in the report; the report is left to the janitor."""
    started = rollback.concluding_since or now
    return now - started > timedelta(minutes=world.settings.policy.conclude_timeout_minutes)
