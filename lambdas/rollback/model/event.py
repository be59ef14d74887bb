"""EventBridge events exactly as they come, read into what decides.

Shapes: `CloudWatch Alarm State Change` (CloudWatch User Guide, "Alarm events and EventBridge") and `ECS Deployment
State Change` (ECS Developer Guide); the latter names cluster and service only inside the ARN in `resources`.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rollback.model.check import Check, Verdict
from rollback.model.errors import InvalidRequest
from rollback.model.names import degraded_alarm, outage_alarm
from rollback.model.policy import Policy
from rollback.model.request import Request, RollbackType, Trigger
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
                outage = alarm == outage_alarm(settings.prefix, service)
                kind = RollbackType.EMERGENCY if outage else RollbackType.SERVICE
                return Request(service=service, type=kind), Trigger.ALARM, event
            case "ECS Deployment State Change":
                service = service_of_arn(str(given["resources"][0]), settings)
                named = detail.get("deploymentId")
                failed = named if isinstance(named, str) else None
                event = TriggerEvent(id=event_id, at=at, deployment_id=failed, reason=str(detail.get("reason", "")))
                return Request(service=service), Trigger.DEPLOYMENT_FAILED, event
            case other:
                raise InvalidRequest(f"an event of type {other!r} starts no rollback; nothing was changed")
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        raise InvalidRequest(f"the event is not complete ({error!r}); nothing was changed") from error


def judge_event(given: Mapping[str, Any], policy: Policy, now: datetime) -> tuple[Check, ...]:
    """Whether an event counts, by the event itself: young enough (rule 10), and a change for the worse."""
    minutes = (now - datetime.fromisoformat(str(given["time"]))).total_seconds() / 60
    evidence = {"id": str(given["id"]), "minutes_old": round(minutes, 1)}
    fresh = _check("event-is-fresh", f"the trigger is {max(0.0, minutes):.1f} minutes old", evidence)
    if minutes > policy.stale_trigger_minutes:
        reason = f"the trigger is stale: {minutes:.1f} minutes old, more than {policy.stale_trigger_minutes:g}"
        fresh = _check("event-is-fresh", reason, evidence, verdict=Verdict.FAIL)
    return fresh, _change_for_the_worse(given, policy)


def _change_for_the_worse(given: Mapping[str, Any], policy: Policy) -> Check:
    name, detail = "event-is-a-change-for-the-worse", given["detail"]
    if given["detail-type"] != "CloudWatch Alarm State Change":
        said = str(detail.get("eventName"))
        if said == "SERVICE_DEPLOYMENT_FAILED":
            return _check(name, "a deployment failed", {"event": said})
        return _check(name, f"{said} is not a failed deployment", {"event": said}, verdict=Verdict.FAIL)
    before, after = detail.get("previousState", {}).get("value"), detail["state"]["value"]
    evidence = {"from": before, "to": after}
    allowed = {"OK", "INSUFFICIENT_DATA"} if policy.on_insufficient_data_alarm == "act" else {"OK"}
    if after == "ALARM" and before in allowed:
        return _check(name, f"the alarm went {before}→{after}", evidence)
    reason = f"the alarm went {before}→{after}; only {' or '.join(sorted(allowed))}→ALARM starts a rollback"
    return _check(name, reason, evidence, verdict=Verdict.FAIL)


def _check(name: str, reason: str, evidence: dict[str, Any], verdict: Verdict = Verdict.PASS) -> Check:
    return Check(name=name, verdict=verdict, reason=reason, evidence=evidence, suppresses=True)


def _service_of_alarm(alarm: str, settings: Settings) -> str:
    for service in settings.service_names:
        if alarm in {degraded_alarm(settings.prefix, service), outage_alarm(settings.prefix, service)}:
            return service
    raise InvalidRequest(f"alarm {alarm!r} is no trigger of {settings.prefix}; nothing was changed")


def service_of_event(event: Mapping[str, Any], settings: Settings) -> str:
    """Our name of the service that an event of ECS is about.

    Raises:
        InvalidRequest: it names none, or none of this environment's.
    """
    try:
        arn = str(event["resources"][0])
    except (KeyError, IndexError, TypeError) as error:
        raise InvalidRequest(f"the event names no service ({error!r}); nothing was changed") from error
    return service_of_arn(arn, settings)


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
