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
from rollback.model.settings import Settings


def is_event(given: object) -> bool:
    """Whether an input is an EventBridge event rather than a person's words."""
    return isinstance(given, Mapping) and "detail-type" in given and "detail" in given


def read_event(given: Mapping[str, Any], settings: Settings) -> tuple[Request, Trigger, TriggerEvent]:
    """What an event asks for.

    Raises:
        InvalidRequest: another kind of event, or one about a service that is not ours.
    """
    try:
        event_id, at = str(given["id"]), datetime.fromisoformat(str(given["time"]))
        detail = given["detail"]
        match given["detail-type"]:
            case "CloudWatch Alarm State Change":
                alarm, why = str(detail["alarmName"]), str(detail["state"].get("reason", ""))
                service = _service_of_alarm(alarm, settings)
                event = TriggerEvent(id=event_id, at=at, alarm=alarm, reason=why)
                return Request(service=service), Trigger.ALARM, event
            case "ECS Deployment State Change":
                service = service_of_arn(str(given["resources"][0]), settings)
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


def _service_of_alarm(alarm: str, settings: Settings) -> str:
    for service in settings.service_names:
        if alarm in {degraded_alarm(settings.prefix, service), outage_alarm(settings.prefix, service)}:
            return service
    raise InvalidRequest(f"alarm {alarm!r} is no trigger of {settings.prefix}; nothing was changed")


def service_of_arn(arn: str, settings: Settings) -> str:
    """Our name of an ECS service, from `arn:aws:ecs:<region>:<account>:service/<cluster>/<service>`.

    Raises:
        InvalidRequest: it is not one of this environment's.
    """
    cluster_and_name = tuple(arn.split("/")[1:])
    for service in settings.services:
        if cluster_and_name in {(service.cluster, service.ecs_service), (service.ecs_service,)}:
            return service.name
    known = ", ".join(s.ecs_service for s in settings.services)
    raise InvalidRequest(f"{arn} is not a service of this environment ({known}); nothing was changed")
