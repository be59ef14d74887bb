"""Detail of a `rollback.*` event, version 1 (`docs/events.md`, `docs/schemas/rollback-event-v1.json`)."""

from collections.abc import Iterator
from typing import Any

from rollback.domain.delivery.phase import Phase, phase_of
from rollback.domain.ledger.page_count import is_page
from rollback.domain.request import Trigger
from rollback.domain.rollback import Rollback
from rollback.reports.commands import report_command
from rollback.text import NAME_LIMIT, one_line

DETAIL_VERSION = 1
_REASON_LIMIT = 500


def event_key(rollback: Rollback, phase: Phase) -> str:
    """Return the key of an event within its rollback.

    A trigger may be evaluated several times, and a phase may be entered again: then a number follows.
    """
    entry = _earlier_entries(rollback, phase)
    return f"{rollback.evaluations}:{phase}" + (f":{entry + 1}" if entry else "")


def _earlier_entries(rollback: Rollback, phase: Phase) -> int:
    """Count how often the evaluation entered the phase before, by what the document keeps of it."""
    match phase:
        case Phase.ACTING | Phase.VERIFYING:  # each way back from Verify ends an attempt at an escalation level
            return len(rollback.service.attempts) if rollback.service is not None else 0
        case Phase.PLANNED:  # an approved plan is made again
            gate = rollback.approval
            return int(gate is not None and not gate.is_open and gate.carried_from is None)
        case _:
            return 0


def event_detail(rollback: Rollback, phase: Phase, application: str) -> dict[str, Any]:
    """Return the detail of the event about a phase. It has names, versions and reasons, and no values of settings.

    It names the command of the written account and has no link: a bus passes a link on to readers that nobody knows.

    Args:
        rollback: the document after the phase was entered.
        phase: the phase.
        application: name of the application in the settings.
    """
    running = rollback.plan.running.version if rollback.plan is not None else None
    target = rollback.plan.target.version if rollback.plan is not None and rollback.plan.target is not None else None
    return {
        "version": DETAIL_VERSION,
        "event_id": f"{rollback.id}:{event_key(rollback, phase)}",
        "application": application,
        "environment": rollback.environment,
        "service": rollback.service_name,
        "rollback_id": rollback.id,
        "phase": phase.value,
        "type": rollback.request.type.value,
        "trigger": rollback.trigger.value,
        "drill": rollback.trigger is Trigger.DRILL,
        "dry_run": rollback.request.dry_run,
        "evaluation": rollback.evaluations,
        "outcome": rollback.outcome.value if rollback.outcome is not None else None,
        "needs_operator": rollback.outcome is not None and is_page(rollback),
        "reason": one_line(rollback.reason, _REASON_LIMIT),
        "running_version": one_line(running, NAME_LIMIT) if running is not None else None,
        "target_version": one_line(target, NAME_LIMIT) if target is not None else None,
        "started_at": rollback.created_at.isoformat(),
        "commands": list(_commands(rollback)),
    }


def _commands(rollback: Rollback) -> Iterator[str]:
    yield f"rollback show {rollback.environment} {rollback.id}"
    if rollback.outcome is not None:
        yield report_command(rollback)


def present_key(rollback: Rollback) -> str:
    """Return the key of the event about the phase that a document has reached."""
    return event_key(rollback, phase_of(rollback))
