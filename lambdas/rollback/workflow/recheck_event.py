"""The janitor's event, which asks Admit to evaluate a trigger again, under an event source of our own.

CloudWatch and ECS report a change once. A suppression that may pass is therefore evaluated again, in the same record:
a repeated suppression updates its record instead of adding another.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rollback.domain.rollback import Rollback
from rollback.errors import StageNotReached
from rollback.resources.aws.account_and_region import AccountAndRegion

SOURCE = "rollback.janitor"
_EXECUTION_NAME = 80  # Step Functions allows 80 characters
_TAIL = 28  # characters at the end of a rollback's id: its time and its hash


def find_recheck_rollback_id(execution_input: object) -> str | None:
    """Id of the rollback whose trigger is to be evaluated again; None: the input is a new trigger."""
    if not isinstance(execution_input, Mapping) or execution_input.get("source") != SOURCE:
        return None
    detail = execution_input.get("detail")
    rollback_id = detail.get("rollbackId") if isinstance(detail, Mapping) else None
    return rollback_id if isinstance(rollback_id, str) else None


def execution_name(rollback: Rollback) -> str:
    """Name of the execution of the next evaluation, a new one each time: Step Functions keeps names for 90 days."""
    service = rollback.service_name[: _EXECUTION_NAME - _TAIL - 24]
    return f"recheck-{service}-{rollback.id[-_TAIL:]}-{rollback.evaluations}-{rollback.rechecks}"


def unanswered_alarm_execution_name(alarm: str, since: datetime) -> str:
    """Name of the execution about an unanswered alarm: one for each `since`.

    A long name is truncated, and ends with a hash: the alarms of a service differ only at their end.

    Args:
        alarm: name of the alarm.
        since: time since which the alarm is unanswered (`UnansweredAlarm.since`).
    """
    name = f"still-in-alarm-{since:%Y%m%dT%H%M%S}-{alarm}"
    if len(name) <= _EXECUTION_NAME:
        return name
    return f"{name[: _EXECUTION_NAME - 9]}-{hashlib.sha256(alarm.encode()).hexdigest()[:8]}"


def build_recheck_event(
    rollback: Rollback, name: str, now: datetime, service_arn: str, account_and_region: AccountAndRegion | None
) -> dict[str, Any]:
    """Make the event that asks to evaluate a rollback's trigger again.

    Args:
        rollback: the suppressed rollback.
        name: name of the execution.
        now: the present time.
        service_arn: ARN of the ECS service if a deployment was the trigger; empty for an alarm.
        account_and_region: account and region of this deployment; None: not known.

    Raises:
        StageNotReached: no event started the rollback.
    """
    if rollback.event is None:
        raise StageNotReached(f"{rollback.id} was started by no event: there is no trigger to evaluate again")
    reason = f"evaluated again; {rollback.id} was {rollback.outcome}: {rollback.reason}"[:500]
    if rollback.event.alarm is not None:
        event = build_alarm_event(name, rollback.event.alarm, reason, now, account_and_region)
    else:
        event = {
            **_event_origin(account_and_region),
            "id": name,
            "source": SOURCE,
            "detail-type": "ECS Deployment State Change",
            "time": now.isoformat(),
            "resources": [service_arn],
            "detail": {
                "eventName": "SERVICE_DEPLOYMENT_FAILED",
                "deploymentId": rollback.event.deployment_id,
                "reason": reason,
            },
        }
    event["detail"]["rollbackId"] = rollback.id
    return event


def _event_origin(account_and_region: AccountAndRegion | None) -> dict[str, str]:
    return (
        {"account": account_and_region.account, "region": account_and_region.region}
        if account_and_region is not None
        else {}
    )


def build_alarm_event(
    name: str,
    alarm: str,
    reason: str,
    now: datetime,
    account_and_region: AccountAndRegion | None,
    previous_state: str = "OK",
) -> dict[str, Any]:
    """Make the event that CloudWatch would send about an alarm in ALARM, under our own source.

    Args:
        name: name of the execution, and id of the event.
        alarm: name of the alarm.
        reason: the reason, for display.
        now: the present time.
        account_and_region: account and region of this deployment; None: not known.
        previous_state: the alarm's state before ALARM.
    """
    return {
        **_event_origin(account_and_region),
        "id": name,
        "source": SOURCE,
        "detail-type": "CloudWatch Alarm State Change",
        "time": now.isoformat(),
        "resources": [],
        "detail": {
            "alarmName": alarm,
            "state": {"value": "ALARM", "reason": reason[:500]},
            "previousState": {"value": previous_state},
        },
    }
