"""Send a test event through bus, rule, state machine, Admit, ledger and Conclude, and measure the way.

Admit answers such an event as suppressed. Only AWS sends alarm events, so the rules on alarms are compared, not run.
"""

import json
import time
from collections.abc import Callable
from datetime import datetime
from functools import partial

from rollback.domain.rollback import Outcome, Rollback
from rollback.names import TEST_EVENT, event_source, event_type
from rollback_cli.doctor.examination import Examination, question
from rollback_cli.doctor.finding import Finding, Group, Question, Reporter

PATIENCE_SECONDS = 90.0
_PAUSE_SECONDS = 1.0
_SLOW_SECONDS = 30.0
_NEWEST = 20  # a record of this minute is among the newest


def questions_by_test_event(x: Examination, sleep: Callable[[float], None] = time.sleep) -> list[Question]:
    """Send one event for each service. Each writes one record into the ledger, and changes nothing else."""
    return [
        question(
            Group.TEST_EVENT,
            f"test-event-arrives-{service}",
            partial(_send, service, x, sleep),
        )
        for service in x.settings.service_names
    ]


def _send(service: str, x: Examination, sleep: Callable[[float], None], report: Reporter) -> Finding:
    sent_at = x.now()
    answer = x.aws.call("events", "PutEvents", Entries=[_entry(service, x)])
    entry = answer["Entries"][0]
    if "EventId" not in entry:
        return report.not_looked_at(
            f"EventBridge refused the event: {entry.get('ErrorMessage')}", "correct what it names"
        )
    record = _wait_for(service, str(entry["EventId"]), x, sleep)
    if record is None:
        to_do = (
            "look at the findings about rule-on-test-event and workflow-may-run, at the queue of dead letters, and at "
            f"the executions of {x.deployment.workflow_arn}"
        )
        return report.failed(f"after {PATIENCE_SECONDS:.0f} s the ledger has no record of the event", to_do)
    return _judge(record, sent_at, report)


def _entry(service: str, x: Examination) -> dict[str, str]:
    detail = {"environment": x.environment, "service": service, "reason": "a test by rollback doctor"}
    return {
        "Source": event_source(x.settings.application),
        "DetailType": event_type(TEST_EVENT),
        "Detail": json.dumps(detail),
    }


def _wait_for(service: str, event_id: str, x: Examination, sleep: Callable[[float], None]) -> Rollback | None:
    """Wait for the concluded record of an event; the record as it is then, if its conclusion does not come."""
    found: Rollback | None = None
    for _ in range(int(PATIENCE_SECONDS / _PAUSE_SECONDS)):
        newest = zip(range(_NEWEST), x.ports.ledger.history(service), strict=False)
        found = next((r for _, r in newest if r.event is not None and r.event.id == event_id), None)
        if found is not None and found.concluded_at is not None:
            return found
        sleep(_PAUSE_SECONDS)
    return found


def _judge(record: Rollback, sent_at: datetime, report: Reporter) -> Finding:
    arrived = (record.created_at - sent_at).total_seconds()
    if record.outcome is not Outcome.SUPPRESSED or not record.is_test:
        seen = f"{record.id} answered the event as {record.outcome}: {record.reason}"
        return report.failed(seen, "deploy the stack with this version, and read the log of the function decide")
    if record.concluded_at is None:
        seen = f"Admit suppressed the event after {arrived:.1f} s, and its record is not concluded"
        return report.failed(seen, "read the log of the function report")
    concluded = (record.concluded_at - sent_at).total_seconds()
    seen = f"{record.id}: admitted after {arrived:.1f} s, suppressed: test, concluded after {concluded:.1f} s"
    if arrived > _SLOW_SECONDS:
        return report.warned(seen, "look for throttled functions: their reserved concurrency may be too low")
    return report.passed(seen)
