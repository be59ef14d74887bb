"""Looking again: a trigger that was not acted upon is asked for a second time by the janitor, under our own source.

CloudWatch and ECS tell of a change once. What was suppressed for a while is therefore looked at again, in the same
record: a suppression that is repeated updates its record instead of adding one.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rollback.domain.rollback import Rollback
from rollback.errors import StageNotReached
from rollback.resources.aws.account_and_region import Home

SOURCE = "rollback.janitor"
_EXECUTION_NAME = 80  # Step Functions allows 80 characters
_TAIL = 28  # of a rollback's id: its time and its hash


def find_recheck_rollback_id(given: object) -> str | None:
    """The id of the rollback whose trigger is to be looked at again; None: this is a trigger of its own."""
    if not isinstance(given, Mapping) or given.get("source") != SOURCE:
        return None
    detail = given.get("detail")
    rollback_id = detail.get("rollbackId") if isinstance(detail, Mapping) else None
    return rollback_id if isinstance(rollback_id, str) else None


def execution_name(rollback: Rollback) -> str:
    """Name of the execution of the next look: another one for each, since names are unique for 90 days."""
    service = rollback.service_name[: _EXECUTION_NAME - _TAIL - 24]
    return f"recheck-{service}-{rollback.id[-_TAIL:]}-{rollback.evaluations}-{rollback.rechecks}"


def unanswered_alarm_execution_name(alarm: str, since: datetime) -> str:
    """Name of the execution that asks about an alarm that nobody answered: one for each time that it goes red.

    Two alarms of a long service name differ at their end only: what is cut there is told by a hash.
    """
    name = f"still-red-{since:%Y%m%dT%H%M%S}-{alarm}"
    if len(name) <= _EXECUTION_NAME:
        return name
    return f"{name[: _EXECUTION_NAME - 9]}-{hashlib.sha256(alarm.encode()).hexdigest()[:8]}"


def build_recheck_event(
    rollback: Rollback, name: str, now: datetime, service_arn: str, home: Home | None
) -> dict[str, Any]:
    """The event that asks for another look at what asked for this rollback.

    Args:
        name: of the execution.
        service_arn: ARN of the ECS service, of a deployment's trigger; empty for an alarm's.
    """
    if rollback.event is None:
        raise StageNotReached(f"{rollback.id} was started by no event: there is no trigger to evaluate again")
    why = f"looked at again; {rollback.id} was {rollback.outcome}: {rollback.reason}"[:500]
    if rollback.event.alarm is not None:
        event = build_alarm_event(name, rollback.event.alarm, why, now, home)
    else:
        event = {
            **_event_origin(home),
            "id": name,
            "source": SOURCE,
            "detail-type": "ECS Deployment State Change",
            "time": now.isoformat(),
            "resources": [service_arn],
            "detail": {
                "eventName": "SERVICE_DEPLOYMENT_FAILED",
                "deploymentId": rollback.event.deployment_id,
                "reason": why,
            },
        }
    event["detail"]["rollbackId"] = rollback.id
    return event


def _event_origin(home: Home | None) -> dict[str, str]:
    return {"account": home.account, "region": home.region} if home is not None else {}


def build_alarm_event(
    name: str, alarm: str, why: str, now: datetime, home: Home | None, before: str = "OK"
) -> dict[str, Any]:
    """Make the event that CloudWatch would send about an alarm in ALARM, under our own source.

    Args:
        before: the state that it left, as far as that is known.
    """
    return {
        **_event_origin(home),
        "id": name,
        "source": SOURCE,
        "detail-type": "CloudWatch Alarm State Change",
        "time": now.isoformat(),
        "resources": [],
        "detail": {
            "alarmName": alarm,
            "state": {"value": "ALARM", "reason": why[:500]},
            "previousState": {"value": before},
        },
    }
