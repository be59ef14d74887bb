"""EventBridge events exactly as they come, read into what decides.

Shapes: `CloudWatch Alarm State Change` (CloudWatch User Guide, "Alarm events and EventBridge") and `ECS Deployment
State Change` (ECS Developer Guide); the latter names cluster and service only inside the ARN in `resources`.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rollback.model.errors import InvalidRequest
from rollback.model.names import degraded_alarm, outage_alarm
from rollback.model.policy import Policy
from rollback.model.request import Request, Trigger
from rollback.model.rollback import TriggerEvent


def is_event(given: object) -> bool:
    """Whether an input is an EventBridge event rather than a person's words."""
    return isinstance(given, Mapping) and "detail-type" in given and "detail" in given


def read_event(
    given: Mapping[str, Any], prefix: str, services: tuple[str, ...]
) -> tuple[Request, Trigger, TriggerEvent]:
    """What an event asks for.

    Args:
        prefix: `<application>-<environment>`, the beginning of our alarms' names.

    Raises:
        InvalidRequest: another kind of event, or one about a service that is not ours.
    """
    try:
        event_id, at = str(given["id"]), datetime.fromisoformat(str(given["time"]))
        detail = given["detail"]
        match given["detail-type"]:
            case "CloudWatch Alarm State Change":
                alarm, why = str(detail["alarmName"]), str(detail["state"].get("reason", ""))
                service = _service_of_alarm(alarm, prefix, services)
                event = TriggerEvent(id=event_id, at=at, alarm=alarm, reason=why)
                return Request(service=service), Trigger.ALARM, event
            case "ECS Deployment State Change":
                service = _service_of_arn(str(given["resources"][0]), services)
                event = TriggerEvent(id=event_id, at=at, reason=str(detail.get("reason", "")))
                return Request(service=service), Trigger.DEPLOYMENT_FAILED, event
            case other:
                raise InvalidRequest(f"an event of type {other!r} starts no rollback; nothing was changed")
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        raise InvalidRequest(f"the event is not complete ({error!r}); nothing was changed") from error


def why_event_does_not_count(given: Mapping[str, Any], policy: Policy, now: datetime) -> str | None:
    """A reason to leave an event alone, by the event itself: too old (rule 10), or not a change for the worse."""
    minutes = (now - datetime.fromisoformat(str(given["time"]))).total_seconds() / 60
    if minutes > policy.stale_trigger_minutes:
        return f"the trigger is stale: {minutes:.1f} minutes old, more than {policy.stale_trigger_minutes:g}"
    detail = given["detail"]
    if given["detail-type"] == "CloudWatch Alarm State Change":
        before, after = detail.get("previousState", {}).get("value"), detail["state"]["value"]
        allowed = {"OK", "INSUFFICIENT_DATA"} if policy.on_insufficient_data_alarm == "act" else {"OK"}
        if after != "ALARM" or before not in allowed:
            return f"the alarm went {before}→{after}; only {' or '.join(sorted(allowed))}→ALARM starts a rollback"
    elif detail.get("eventName") != "SERVICE_DEPLOYMENT_FAILED":
        return f"{detail.get('eventName')} is not a failed deployment"
    return None


def _service_of_alarm(alarm: str, prefix: str, services: tuple[str, ...]) -> str:
    for service in services:
        if alarm in {degraded_alarm(prefix, service), outage_alarm(prefix, service)}:
            return service
    raise InvalidRequest(f"alarm {alarm!r} is no trigger of {prefix}; nothing was changed")


def _service_of_arn(arn: str, services: tuple[str, ...]) -> str:
    service = arn.rsplit("/", 1)[-1]
    if service not in services:
        raise InvalidRequest(f"service {service!r} ({arn}) is not one of {', '.join(services)}; nothing was changed")
    return service
