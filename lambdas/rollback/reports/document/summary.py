"""The first screen of the written account: a manager reads it without knowing ECS or Neon."""

from collections.abc import Iterator

from rollback.domain.obligation import ObligationKind
from rollback.domain.request import RollbackType, Trigger
from rollback.domain.rollback import Outcome, Rollback
from rollback.reports.approval import waiting_in_words
from rollback.reports.document.durations import in_words, moment, percent
from rollback.reports.document.model import Fact, Summary, Tone, Traffic
from rollback.reports.document.timeline import requester_in_words
from rollback.reports.document.traffic import incident_began_at, recovered_at
from rollback.text import one_line

_WHY_NOT_LIMIT = 200
_TONES = {
    Outcome.SUCCEEDED: Tone.GOOD,
    Outcome.FAILED: Tone.BAD,
    Outcome.ABORTED: Tone.BAD,
    Outcome.REFUSED: Tone.WARNING,
    Outcome.REJECTED: Tone.WARNING,
}
_UNCHANGED = {
    Outcome.REFUSED: "The rollback was refused for {}",
    Outcome.REJECTED: "The rollback of {} was not approved",
    Outcome.SUPPRESSED: "No rollback was needed for {}",
    Outcome.PLANNED: "A rollback was planned only for {}",
}


def summarise(rollback: Rollback, traffic: Traffic, actions: tuple[str, ...]) -> Summary:
    """Build the summary."""
    tone = _TONES.get(rollback.outcome, Tone.NEUTRAL) if rollback.outcome is not None else Tone.NEUTRAL
    return Summary(
        headline=_headline(rollback),
        what_happened=_what_happened(rollback),
        tone=tone,
        facts=tuple(_facts(rollback, traffic, actions, tone)),
    )


def _headline(rollback: Rollback) -> str:
    name, plan = rollback.service_name, rollback.plan
    running = plan.running.version if plan is not None else "its release"
    target = plan.target.version if plan is not None and plan.target is not None else "an earlier release"
    is_database_only = rollback.request.type is RollbackType.DATABASE
    subject = f"the database of {name}" if is_database_only else name
    drill = "Drill: " if rollback.is_drill else ""
    match rollback.outcome:
        case Outcome.SUCCEEDED if rollback.is_drill and is_database_only:
            text = f"the restore of {name}'s database was rehearsed; {running} keeps running"
        case Outcome.SUCCEEDED if rollback.is_drill:
            text = f"a rollback of {name} was rehearsed by a restart of {running}"
        case Outcome.SUCCEEDED if is_database_only:
            text = f"The database of {name} was rolled back"
        case Outcome.SUCCEEDED:
            with_data = " with its database" if rollback.has_changed_data else ""
            text = f"{subject} was rolled back{with_data} from {running} to {target}"
        case Outcome.FAILED:
            text = f"The rollback of {subject} to {target} failed"
        case Outcome.ABORTED:
            text = f"The rollback of {subject} was aborted"
        case Outcome.SUPERSEDED:
            text = f"The rollback of {subject} gave way to a newer release"
        case None:
            waits = "waits for an approval" if rollback.is_at_gate else "is running"
            text = f"The rollback of {subject} {waits}"
        case other:
            remark = "" if rollback.has_acted else f"; {running} was not changed"
            text = f"{_UNCHANGED[other].format(subject)}{remark}"
    return drill + text


def _what_happened(rollback: Rollback) -> str:
    event = rollback.event
    if event is not None and event.alarm:
        cause = f"Alarm {event.alarm} went into ALARM at {moment(event.at)}"
    elif event is not None and rollback.trigger is Trigger.HEALTH_CHECK:
        cause = f"A health check by {rollback.request.requested_by} failed at {moment(event.at)}"
    elif event is not None and rollback.trigger is Trigger.RELEASE_WATCH:
        cause = f"The watch over the fresh release found it bad at {moment(event.at)}"
    elif event is not None and rollback.is_test:
        cause = f"A test event of the doctor was sent at {moment(event.at)}"
    elif event is not None:
        cause = f"A deployment failed at {moment(event.at)}"
    else:
        requester = requester_in_words(rollback)
        what = "drill" if rollback.is_drill else "rollback"
        cause = f"A {what} was requested{f' by {requester}' if requester else ''} at {moment(rollback.created_at)}"
    reason = f". {rollback.reason}" if rollback.reason else ""
    return f"{cause}{reason}"


def _facts(rollback: Rollback, traffic: Traffic, actions: tuple[str, ...], tone: Tone) -> Iterator[Fact]:
    outcome = str(rollback.outcome).replace("_", " ") if rollback.outcome is not None else "still running"
    yield Fact(label="Outcome", text=outcome, tone=tone)
    yield Fact(label="Since", text=_since(rollback))
    yield from _approval(rollback)
    yield _users(traffic)
    yield Fact(label="Runs now", text=runs_now(rollback))
    data = _data(rollback)
    if data:
        yield Fact(label="Data", text=data, tone=Tone.WARNING if rollback.has_changed_data else Tone.NEUTRAL)
    left = len(rollback.left_to_operator())
    if left:
        yield Fact(label="Left to do", text=f"{left} settings were not put back", tone=Tone.BAD)
    yield Fact(label="Next", text=actions[0] if actions else "Nothing is left to an operator")


def _approval(rollback: Rollback) -> Iterator[Fact]:
    gate = rollback.approval
    if gate is None:
        return
    if gate.decision is not None:
        yield Fact(label="Approval", text=gate.decision.in_words, tone=Tone.GOOD if gate.is_approved else Tone.WARNING)
        return
    waiting = waiting_in_words(rollback) or "no person decided before the rollback ended"
    yield Fact(label="Approval", text=waiting, tone=Tone.WARNING)


def _since(rollback: Rollback) -> str:
    began = incident_began_at(rollback)
    end = recovered_at(rollback)
    lasted = f", for {in_words(end - began)}" if end is not None else _not_recovered(rollback)
    return f"{moment(began)}{lasted}"


def _not_recovered(rollback: Rollback) -> str:
    return "; the time of the recovery is not known" if rollback.outcome is not None else ""


def _users(traffic: Traffic) -> Fact:
    during = traffic.period("during")
    if during is None or not traffic.is_measured:
        why_not = one_line(traffic.remark or "no request was counted", _WHY_NOT_LIMIT)  # the whole text stands below
        return Fact(label="Users affected", text=f"not measured: {why_not}")
    if during.availability is None:
        return Fact(label="Users affected", text="no request was counted during the incident")
    before = traffic.period("before")
    usual = f", {percent(before.availability)} before" if before is not None and before.availability is not None else ""
    text = (
        f"{during.failed:,} of {during.requests:,} requests failed (availability {percent(during.availability)}{usual})"
    )
    return Fact(label="Users affected", text=text, tone=Tone.BAD if during.failed else Tone.GOOD)


def runs_now(rollback: Rollback) -> str:
    """Say which release runs, as far as the document knows; Conclude was the last look at the service."""
    plan = rollback.plan
    if plan is None:
        return "not looked at: the rollback ended before its plan"
    stopped = sorted(
        {
            rollback.service_of_obligation(obligation)
            for obligation in rollback.obligations
            if obligation.kind is ObligationKind.FENCE and obligation.discharged_at is None
        }
    )
    if stopped:
        return f"{', '.join(stopped)} at zero tasks: the fence stands"
    if rollback.outcome is Outcome.SUPERSEDED and rollback.newer is not None:
        return f"{rollback.newer.version}, which the team deployed during the rollback"
    if not rollback.has_moved_service:
        return f"{plan.running.version}, unchanged"
    target = plan.target.version if plan.target is not None else "no target"
    if rollback.outcome is Outcome.SUCCEEDED:
        return f"{target}, verified"
    if rollback.outcome is None:
        return f"a change to {target} is under way"
    return f"not certain: {target} was deployed and not verified; look with `rollback status {rollback.environment}`"


def _data(rollback: Rollback) -> str:
    progress = rollback.database
    if progress is None:
        return ""
    if not rollback.has_changed_data:
        return "unchanged"
    loss = progress.data_loss
    if loss is None:
        return "changed; whether rows were lost is not known yet"
    removed = sum(table.removed_rows or 0 for table in loss.tables)
    if loss.unavailable:
        return f"changed; lost rows are not known: {loss.unavailable}"
    complete = "" if loss.is_complete else ", and not every table was compared"
    return f"changed; {removed:,} rows are only in the backup{complete}"
