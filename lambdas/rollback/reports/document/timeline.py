"""Events and phases of a rollback, read from its document."""

import re
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise

from rollback.domain.approval.gate import DecisionKind
from rollback.domain.obligation import ObligationKind
from rollback.domain.phases import PHASES, acted_until
from rollback.domain.request import Trigger
from rollback.domain.rollback import Outcome, Rollback
from rollback.reports.document.model import Event, PhasePeriod, Tone

_MAX_EVENTS = 200
_ALARM_ARN = re.compile(r"arn:[a-z-]+:cloudwatch:[a-z0-9-]*:\d*:alarm:")  # before an alarm's name, in reasons
_BAD_OUTCOMES = (Outcome.FAILED, Outcome.ABORTED)
_IN_WORDS = {
    ObligationKind.FENCE: "desired count of {service} put back",
    ObligationKind.SCALING: "scaling of {service} put back",
    ObligationKind.DEPLOYMENT_CONFIGURATION: "deployment configuration of {service} put back",
    ObligationKind.BRANCH_PROTECTION: "protection of the database branch put back",
    ObligationKind.PREVIEW_BRANCH: "preview branch of the drill deleted",
}
_DECISIONS = {
    DecisionKind.APPROVED: ("A person approved the rollback", Tone.GOOD),
    DecisionKind.REJECTED: ("A person rejected the rollback", Tone.BAD),
    DecisionKind.EXPIRED: ("No person decided in time", Tone.WARNING),
    DecisionKind.SUPERSEDED: ("Another rollback ended the wait for an approval", Tone.WARNING),
}


def list_events(rollback: Rollback) -> tuple[Event, ...]:
    """List the events with a recorded time, the earliest first; of events at one time in the order of the workflow."""
    sources = (_before, _decision, _approval, _database, _service, _verification, _end)
    events = [event for source in sources for event in source(rollback)]
    return tuple(sorted(events, key=lambda event: event.at)[:_MAX_EVENTS])


def phase_periods(rollback: Rollback) -> tuple[PhasePeriod, ...]:
    """List the phases that have a begin and an end; `domain.phases` defines them."""
    event, verification = rollback.event, rollback.verification
    began = [part.started_at for part in (rollback.database, rollback.service) if part is not None]
    times = (
        event.at if event is not None else None,
        rollback.created_at,
        min(began, default=None),
        acted_until(rollback),
        verification.passed_at if verification is not None else None,
    )
    return tuple(
        PhasePeriod(name=name, began_at=begin, ended_at=max(begin, end))
        for name, (begin, end) in zip(PHASES, pairwise(times), strict=True)
        if begin is not None and end is not None
    )


def _event(kind: str, at: datetime | None, title: str, detail: str = "", tone: Tone = Tone.NEUTRAL) -> Iterator[Event]:
    if at is not None:
        yield Event(at=at, kind=kind, title=title, detail=detail, tone=tone)


def _before(rollback: Rollback) -> Iterator[Event]:
    """Yield the deployment that is rolled back, and the trigger."""
    plan, event = rollback.plan, rollback.event
    if plan is not None:
        running = plan.running
        tone = Tone.NEUTRAL if rollback.is_drill else Tone.WARNING
        yield from _event("deployment", running.first_deployed_at, f"{running.version} was first deployed", tone=tone)
        newest_at = plan.newest_deployment_at
        if newest_at is not None and newest_at != running.first_deployed_at:
            yield from _event("deployment", newest_at, "The newest deployment before the plan began")
    if event is not None:
        yield from _event("alarm", event.at, _source(rollback), _ALARM_ARN.sub("", event.reason), Tone.BAD)


def _source(rollback: Rollback) -> str:
    event = rollback.event
    if event is not None and event.alarm:
        return f"Alarm {event.alarm} went into ALARM"
    if rollback.trigger is Trigger.HEALTH_CHECK:
        return "A pipeline's health check of the deployment failed"
    if rollback.trigger is Trigger.RELEASE_WATCH:
        return "The watch over the fresh release found it bad"
    if rollback.is_test:
        return "The doctor sent a test event"
    return "ECS reported a failed deployment"


def _decision(rollback: Rollback) -> Iterator[Event]:
    by = f"requested by {requester_in_words(rollback)}" if requester_in_words(rollback) else ""
    yield from _event(
        "decision", rollback.created_at, f"The {'drill' if rollback.is_drill else 'rollback'} started", by
    )
    if rollback.evaluations > 1:
        count = f"evaluation {rollback.evaluations} of the trigger"
        yield from _event("decision", rollback.evaluation_started_at, "The trigger was evaluated again", count)
    yield from _event("decision", rollback.admitted_at, "The trigger was admitted")


def requester_in_words(rollback: Rollback) -> str:
    """Name the person or pipeline that asked for the rollback, and whether AWS STS confirmed that; empty: nobody."""
    if rollback.requester is not None:
        return str(rollback.requester)
    claimed = rollback.request.requested_by
    return f"unverified: {claimed}" if claimed and rollback.is_requested_by_person else claimed


def _approval(rollback: Rollback) -> Iterator[Event]:
    """Yield the request for an approval, the decision, and the plan that was made again."""
    gate = rollback.approval
    if gate is None:
        return
    if gate.carried_from is None:
        reasons = f"because of: {', '.join(gate.reasons).replace('_', ' ')}; until {gate.expires_at:%H:%M:%S} UTC"
        unsent = f"; the request could not be sent: {gate.announcement_error}" if gate.announcement_error else ""
        yield from _event(
            "decision", gate.requested_at, "An approval was requested", f"{reasons}{unsent}", Tone.WARNING
        )
    decision = gate.decision
    if decision is not None:
        title, tone = _DECISIONS[decision.kind]
        carried = f"for {gate.carried_from}, which this rollback continues" if gate.carried_from is not None else ""
        detail = "; ".join(part for part in (f"by {decision.by}" if decision.by else "", carried) if part)
        reason = f": {decision.reason}" if decision.reason and detail else decision.reason
        yield from _event("decision", decision.at, title, f"{detail}{reason}", tone)
    yield from _event("decision", gate.replanned_at, "The plan was made again, with the approved facts")


def _database(rollback: Rollback) -> Iterator[Event]:
    progress = rollback.database
    if progress is None:
        return
    fence = progress.fence
    yield from _event("database", progress.started_at, "The database step began")
    yield from _event("database", fence.stopped_at, "All tasks of all writers were stopped", tone=Tone.WARNING)
    yield from _event("database", progress.data_change_announced_at, "The change of the data was announced")
    yield from _event("database", progress.accepted_at, "Neon accepted the change of the data")
    yield from _event("database", progress.verified_at, "SQL answered on the changed branch", tone=Tone.GOOD)
    why_not = progress.why_not or ""
    tone = Tone.GOOD if progress.has_succeeded else Tone.BAD
    outcome = str(progress.database_outcome or "").replace("_", " ")
    yield from _event("database", progress.ended_at, f"The database step ended: {outcome}", why_not, tone)
    analysis = progress.data_loss_analysis
    if analysis is not None:
        yield from _event("database", analysis.began_at, "The comparison of the backup with the branch began")
        yield from _event("database", analysis.ended_at, "The comparison of the backup with the branch ended")
    reconnection = rollback.reconnection
    if reconnection is not None:
        yield from _event("database", reconnection.started_at, "Services began to get new connections")
        yield from _event("database", reconnection.ended_at, "Services have new connections")


def _service(rollback: Rollback) -> Iterator[Event]:
    progress = rollback.service
    if progress is None:
        return
    yield from _event("action", progress.started_at, "The service step began")
    yield from _event("action", progress.acted_at, "ECS was asked to deploy the target")
    for attempt in progress.attempts:
        level = attempt.escalation_level.in_words
        title = f"Level {level} did not help and was left"
        yield from _event("escalation", attempt.until, title, attempt.escalation_reason, Tone.WARNING)
    if not progress.attempts and progress.escalation_level_since != progress.started_at:
        level = progress.escalation_level.in_words
        yield from _event("escalation", progress.escalation_level_since, f"Level {level} began", tone=Tone.WARNING)
    redeployed = (
        "A new deployment of the same release was forced"
        if rollback.is_drill
        else "The stuck deployment was made again"
    )
    yield from _event("action", progress.redeployment_forced_at, redeployed)
    yield from _event("action", progress.restarted_at, "The target was started from zero tasks", tone=Tone.WARNING)
    newer = rollback.newer
    if newer is not None:
        yield from _event("deployment", newer.began_at, f"The team deployed {newer.version}", newer.why_replaced)
    yield from _event("action", progress.done_at, "ECS settled on the target", tone=Tone.GOOD)


def _verification(rollback: Rollback) -> Iterator[Event]:
    verification = rollback.verification
    if verification is None:
        return
    yield from _event("verification", verification.started_at, "The verification began")
    smoke = verification.smoke
    if smoke is not None:
        yield from _event("verification", smoke.asked_at, "The smoke command was started")
        result = "was stopped" if smoke.exit_code is None else f"ended with exit code {smoke.exit_code}"
        result = "did not start" if smoke.never_started else result
        tone = Tone.GOOD if smoke.succeeded else Tone.BAD
        yield from _event("verification", smoke.ended_at, f"The smoke command {result}", smoke.reason, tone)
    rounds = f"{verification.good_rounds} good rounds in a row, of {verification.rounds}"
    yield from _event("verification", verification.passed_at, "The verification passed", rounds, Tone.GOOD)


def _end(rollback: Rollback) -> Iterator[Event]:
    for obligation in rollback.obligations:
        text = _IN_WORDS[obligation.kind].format(service=rollback.service_of_obligation(obligation))
        yield from _event("obligation", obligation.discharged_at, text[0].upper() + text[1:])
    yield from _event("conclusion", rollback.conclusion_started_at, "The conclusion began")
    name = "drill" if rollback.is_drill else "rollback"
    tone = Tone.BAD if rollback.outcome in _BAD_OUTCOMES else Tone.NEUTRAL
    tone = Tone.GOOD if rollback.outcome is Outcome.SUCCEEDED else tone
    yield from _event("conclusion", rollback.concluded_at, f"The {name} ended: {rollback.outcome}", tone=tone)
