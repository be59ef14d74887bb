"""Events and phases of a rollback, read from its document."""

from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise

from rollback.domain.obligation import ObligationKind
from rollback.domain.phases import PHASES
from rollback.domain.rollback import Outcome, Rollback
from rollback.reports.document.model import Event, PhasePeriod, Tone

_MAX_EVENTS = 200
_BAD_OUTCOMES = (Outcome.FAILED, Outcome.ABORTED)
_IN_WORDS = {
    ObligationKind.FENCE: "desired count of {service} put back",
    ObligationKind.SCALING: "scaling of {service} put back",
    ObligationKind.DEPLOYMENT_CONFIGURATION: "deployment configuration of {service} put back",
    ObligationKind.BRANCH_PROTECTION: "protection of the database branch put back",
    ObligationKind.PREVIEW_BRANCH: "preview branch of the drill deleted",
}


def list_events(rollback: Rollback) -> tuple[Event, ...]:
    """List the events with a recorded time, the earliest first; of events at one time in the order of the workflow."""
    sources = (_before, _decision, _database, _service, _verification, _end)
    events = [event for source in sources for event in source(rollback)]
    return tuple(sorted(events, key=lambda event: event.at)[:_MAX_EVENTS])


def phase_periods(rollback: Rollback) -> tuple[PhasePeriod, ...]:
    """List the phases that have a begin and an end; `domain.phases` defines them."""
    event, service, verification = rollback.event, rollback.service, rollback.verification
    began = [part.started_at for part in (rollback.database, service) if part is not None]
    times = (
        event.at if event is not None else None,
        rollback.created_at,
        min(began, default=None),
        service.done_at if service is not None else None,
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
        yield from _event(
            "deployment", running.first_deployed_at, f"{running.version} was first deployed", tone=Tone.WARNING
        )
        newest_at = plan.newest_deployment_at
        if newest_at is not None and newest_at != running.first_deployed_at:
            yield from _event("deployment", newest_at, "The newest deployment before the plan began")
    if event is not None:
        source = f"Alarm {event.alarm} went into ALARM" if event.alarm else "ECS reported a failed deployment"
        yield from _event("alarm", event.at, source, event.reason, Tone.BAD)


def _decision(rollback: Rollback) -> Iterator[Event]:
    by = f"requested by {rollback.request.requested_by}" if rollback.request.requested_by else ""
    yield from _event("decision", rollback.created_at, "The rollback started", by)
    if rollback.evaluations > 1:
        count = f"evaluation {rollback.evaluations} of the trigger"
        yield from _event("decision", rollback.evaluation_started_at, "The trigger was evaluated again", count)
    yield from _event("decision", rollback.admitted_at, "The trigger was admitted")


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
    rounds = f"{verification.good_rounds} good rounds in a row, of {verification.rounds}"
    yield from _event("verification", verification.passed_at, "The verification passed", rounds, Tone.GOOD)


def _end(rollback: Rollback) -> Iterator[Event]:
    for obligation in rollback.obligations:
        text = _IN_WORDS[obligation.kind].format(service=rollback.service_of_obligation(obligation))
        yield from _event("obligation", obligation.discharged_at, text[0].upper() + text[1:])
    yield from _event("conclusion", rollback.conclusion_started_at, "The conclusion began")
    tone = Tone.BAD if rollback.outcome in _BAD_OUTCOMES else Tone.NEUTRAL
    tone = Tone.GOOD if rollback.outcome is Outcome.SUCCEEDED else tone
    yield from _event("conclusion", rollback.concluded_at, f"The rollback ended: {rollback.outcome}", tone=tone)
