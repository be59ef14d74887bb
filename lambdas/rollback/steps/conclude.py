"""Conclude: put back what was changed, judge what was left, tell people, close. Always reached, however it went.

Each call does one thing and returns, so that each is saved; called again after a crash, it looks before it acts.
"""

from datetime import datetime, timedelta

from rollback.model.errors import Conflict, LeaseLost, OutsideFailure, UnsupportedService
from rollback.model.release import Release, ReleaseState
from rollback.model.report import is_page, message, report_id, subject
from rollback.model.rollback import Obligation, Outcome, Rollback
from rollback.steps.ports import World

OPERATOR = "operator"


def conclude(rollback: Rollback, world: World) -> Rollback:
    """The next thing that is still to be done before the rollback is over."""
    now = world.clock.now()
    if rollback.outcome is None:
        return rollback.but(outcome=Outcome.FAILED, reason=rollback.reason or "ended before it had an outcome")
    if rollback.concluding_since is None:
        return rollback.but(concluding_since=now, wait_seconds=0)
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


def _put_back(rollback: Rollback, owed: Obligation, now: datetime, world: World) -> Rollback:
    """Rule 5: the recorded deployment configuration, once PRIMARY is COMPLETED; without the lease it is not ours."""
    until = now + timedelta(minutes=world.settings.policy.lease_minutes)
    lease = world.ledger.acquire(rollback.service_name, rollback.id, now, until)
    if lease is None:
        held = world.ledger.lease(rollback.service_name)
        return _settle(rollback, owed, handed_to=held.holder if held is not None else OPERATOR)
    if lease.counter != rollback.lease_counter:
        return rollback.but(lease_counter=lease.counter, wait_seconds=0)
    try:
        world.ledger.renew(lease, now, until)  # rule 9: one that was held already may end any moment
    except LeaseLost:
        return rollback.but(wait_seconds=world.settings.policy.poll_seconds)
    service = world.settings.service(rollback.service_name)
    try:
        view = world.services.look(service)
        if view.deployment_configuration == owed.before:
            return _settle(rollback, owed, discharged_at=now)
        if view.primary.rollout_state == "COMPLETED":
            world.services.update(service, deployment_configuration=owed.before)
            return rollback.but(wait_seconds=0)  # looked at again: only what is seen is discharged
    except (OutsideFailure, UnsupportedService):
        pass  # tried again below, until the time is over
    if _gave_up(rollback, now, world):
        return _settle(rollback, owed, handed_to=OPERATOR)
    return rollback.but(wait_seconds=world.settings.policy.poll_seconds)


def _settle(rollback: Rollback, owed: Obligation, **how: object) -> Rollback:
    settled = Obligation.model_validate({**dict(owed), **how})
    obligations = list(rollback.obligations)
    last = max(i for i, o in enumerate(obligations) if o == owed)
    obligations[last] = settled
    return rollback.but(obligations=tuple(obligations), wait_seconds=0)


def _judge_what_was_left(rollback: Rollback, now: datetime, world: World) -> None:
    """Suspect once we acted, quarantined once things were verified better without it. Retried, it finds it done."""
    if rollback.plan is None or rollback.service is None:
        return
    state = ReleaseState.QUARANTINED if rollback.outcome is Outcome.SUCCEEDED else ReleaseState.SUSPECT
    if not rollback.has_acted:
        return
    left = _in_ledger(rollback.plan.running, world)
    if left is None or left.state in (state, ReleaseState.QUARANTINED):
        return
    try:
        world.ledger.judge(left, state, now, f"left by {rollback.id}")
    except Conflict:
        return  # judged by somebody else meanwhile; a later verdict than ours


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
