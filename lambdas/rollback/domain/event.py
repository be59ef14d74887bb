"""EventBridge events, parsed into the fields that decide.

- `CloudWatch Alarm State Change`: CloudWatch User Guide, "Alarm events and EventBridge".
- `ECS Deployment State Change`: ECS Developer Guide. It names cluster and service only in the ARN in `resources`.
- `ECS Service Action`: the same, and it names no deployment.
- `rollback.test`: an event of our own source, by which `rollback doctor` tests the way from the bus to the ledger.
- `account` and `region` of all events: EventBridge User Guide, "Events structure".

An operator may start an execution with a handwritten event. Every field is therefore validated before a record is made.
Fields that decide must have their shape; fields that are only displayed are cleaned and truncated.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rollback.check import Check, Verdict
from rollback.domain.request import Request, RollbackType, Trigger
from rollback.domain.rollback import TriggerEvent
from rollback.domain.settings.environment import Settings
from rollback.domain.settings.policy import Policy
from rollback.errors import InvalidRequest
from rollback.names import TEST_EVENT, degraded_alarm, event_type, outage_alarm
from rollback.resources.aws.account_and_region import AccountAndRegion
from rollback.text import NAME_LIMIT, REASON_LIMIT, is_showable, one_line, quoted

DETERIORATION_CHECK = "event-is-a-change-for-the-worse"
_ALARM, _DEPLOYMENT = "CloudWatch Alarm State Change", "ECS Deployment State Change"
_ACTION = "ECS Service Action"  # ECS sends it even if the circuit breaker is off
_TEST = event_type(TEST_EVENT)
_MAX_ALARM_CHARACTERS = 255  # CloudWatch API, PutCompositeAlarm: AlarmName
_MAX_ARN_CHARACTERS, _QUOTED_ARN_CHARACTERS = 2048, 200
_UNSPECIFIED_STATE = "an unspecified state"
_MAX_RESOURCES = 10  # EventBridge names one or two
_MAX_CLOCK_SKEW_MINUTES = 1  # the clocks of AWS and of Lambda


@dataclass(frozen=True)
class _ParsedEvent:
    """A parsed event.

    Attributes:
        resources: ARNs.
        deployment_id: `ecs-svc/…`; None: the event names no deployment.
        change: an alarm's states before and after; for a deployment an empty text and the event's name.
    """

    id: str
    at: datetime
    account: str
    region: str
    resources: tuple[str, ...]
    reason: str
    change: tuple[str, str]
    alarm: str | None = None
    deployment_id: str | None = None
    is_test: bool = False


def is_event(execution_input: object) -> bool:
    """Whether an input is an EventBridge event, not an operator's request."""
    return isinstance(execution_input, Mapping) and "detail-type" in execution_input and "detail" in execution_input


def read_event(raw_event: Mapping[str, Any], settings: Settings) -> tuple[Request, Trigger, TriggerEvent]:
    """Parse an event into the request and the trigger that it stands for.

    Raises:
        InvalidRequest: another kind of event, an incomplete one, or one about a service of no setting.
    """
    event = _parse(raw_event)
    trigger = TriggerEvent(
        id=event.id, at=event.at, alarm=event.alarm, deployment_id=event.deployment_id, reason=event.reason
    )
    if event.is_test:
        return Request(service=_find_service_of_test(raw_event, settings)), Trigger.TEST, trigger
    if event.alarm is None:
        return Request(service=find_service_of_event(raw_event, settings)), Trigger.DEPLOYMENT_FAILED, trigger
    service = _find_service_of_alarm(event.alarm, settings)
    outage = event.alarm == outage_alarm(settings.prefix, service)
    kind = RollbackType.EMERGENCY if outage else RollbackType.SERVICE
    return Request(service=service, type=kind), Trigger.ALARM, trigger


def judge_event(
    raw_event: Mapping[str, Any], policy: Policy, now: datetime, account_and_region: AccountAndRegion | None = None
) -> tuple[Check, ...]:
    """Check an event's origin, its age (rule 10: a trigger older than five minutes is stale), and its change of state.

    A test event always has a failed check.

    Args:
        raw_event: an event that `read_event` has parsed.
        policy: the environment's policy.
        now: the present time.
        account_and_region: account and region of this deployment; None: not known.
    """
    event = _parse(raw_event)
    last_check = _check_not_a_test() if event.is_test else _check_deterioration(event, policy)
    return _check_origin(event, account_and_region), _check_age(event, policy, now), last_check


def _parse(raw_event: Mapping[str, Any]) -> _ParsedEvent:
    """Parse every field that is used.

    Raises:
        InvalidRequest: names the field whose value has another shape.
    """
    kind, detail = raw_event["detail-type"], raw_event["detail"]
    if kind not in (_ALARM, _DEPLOYMENT, _ACTION, _TEST):
        raise InvalidRequest(f"an event of type {quoted(kind)} starts no rollback; nothing was changed")
    if not isinstance(detail, Mapping):
        raise _incomplete_event("detail", detail, "an object")
    is_alarm = kind == _ALARM
    return _ParsedEvent(
        id=_required_text(raw_event, "id"),
        at=_time(raw_event.get("time")),
        account=_optional_text(raw_event.get("account"), NAME_LIMIT),
        region=_optional_text(raw_event.get("region"), NAME_LIMIT),
        resources=_resources(raw_event),
        alarm=_required_text(detail, "alarmName", "detail.alarmName", limit=_MAX_ALARM_CHARACTERS)
        if is_alarm
        else None,
        is_test=kind == _TEST,
        change=_change(kind, detail),
        reason=_optional_text(detail["state"].get("reason") if is_alarm else detail.get("reason"), REASON_LIMIT),
        deployment_id=_optional_text(detail.get("deploymentId"), NAME_LIMIT) or None if not is_alarm else None,
    )


def _change(kind: str, detail: Mapping[str, Any]) -> tuple[str, str]:
    if kind == _TEST:
        return "", TEST_EVENT
    return _states(detail) if kind == _ALARM else ("", _required_text(detail, "eventName", "detail.eventName"))


def _states(detail: Mapping[str, Any]) -> tuple[str, str]:
    """Return an alarm's states before and after."""
    state, previous = detail.get("state"), detail.get("previousState")
    if not isinstance(state, Mapping):
        raise _incomplete_event("detail.state", state, "an object")
    if previous is not None and not isinstance(previous, Mapping):
        raise _incomplete_event("detail.previousState", previous, "an object")
    has_previous_value = previous is not None and previous.get("value") is not None
    previous_value = (
        _required_text(previous, "value", "detail.previousState.value")
        if has_previous_value and previous is not None
        else _UNSPECIFIED_STATE
    )
    return previous_value, _required_text(state, "value", "detail.state.value")


def _required_text(part: Mapping[str, Any], name: str, path: str = "", limit: int = NAME_LIMIT) -> str:
    value = part.get(name)
    if isinstance(value, str) and 0 < len(value) <= limit and value.strip() and is_showable(value):
        return value
    raise _incomplete_event(path or name, value, f"a text of 1 to {limit} characters that can be shown")


def _optional_text(value: object, limit: int) -> str:
    """Return a text for display, whatever the value's shape."""
    if value is None:
        return ""
    return one_line(value, limit) if isinstance(value, str) else quoted(value)


def _time(value: object) -> datetime:
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
        if at is not None and at.tzinfo is not None:
            return at.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise _incomplete_event("time", value, "a time with its zone")


def _resources(raw_event: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the ARNs, or none: CloudWatch repeats the alarm there, and the janitor names no resource."""
    value = raw_event.get("resources")
    if value is None:
        return ()
    if not isinstance(value, list | tuple) or len(value) > _MAX_RESOURCES:
        raise _incomplete_event("resources", value, f"a list of up to {_MAX_RESOURCES} ARNs")
    return tuple(_required_text({"arn": arn}, "arn", "resources", limit=_MAX_ARN_CHARACTERS) for arn in value)


def _incomplete_event(path: str, value: object, allowed: str) -> InvalidRequest:
    return InvalidRequest(f"the event is not complete: {path} is {quoted(value)}, not {allowed}; nothing was changed")


def _check_origin(event: _ParsedEvent, account_and_region: AccountAndRegion | None) -> Check:
    """Check account and region: a rule may forward another account's events, and an operator may copy one."""
    name = "event-is-from-this-account"
    if account_and_region is None:
        return _check(name, "the account and region of this deployment are not known here", {}, Verdict.SKIPPED)
    evidence = {"account": event.account, "region": event.region, "resources": list(event.resources)}
    foreign_arns = account_and_region.foreign_arns(event.resources)
    if (event.account, event.region) == (account_and_region.account, account_and_region.region) and not foreign_arns:
        return _check(name, f"the event comes from {account_and_region}", evidence)
    if foreign_arns and (event.account, event.region) == (account_and_region.account, account_and_region.region):
        origin = f"about {one_line(foreign_arns[0], REASON_LIMIT // 2)}"
    else:
        origin = f"from account {event.account or 'none'}, {event.region or 'no region'}"
    return _check(name, f"the event is {origin}; this deployment is in {account_and_region}", evidence, Verdict.FAIL)


def _check_age(event: _ParsedEvent, policy: Policy, now: datetime) -> Check:
    name, minutes = "event-is-fresh", (now - event.at).total_seconds() / 60
    evidence = {"id": event.id, "minutes_old": round(minutes, 1)}
    if minutes > policy.stale_trigger_minutes:
        reason = f"the trigger is stale: {minutes:.1f} minutes old, more than {policy.stale_trigger_minutes:g}"
        return _check(name, reason, evidence, Verdict.FAIL)
    if minutes < -_MAX_CLOCK_SKEW_MINUTES:
        reason = f"the trigger is {-minutes:.1f} minutes in the future: clocks do not differ by so much"
        return _check(name, reason, evidence, Verdict.FAIL)
    return _check(name, f"the trigger is {max(0.0, minutes):.1f} minutes old", evidence)


def _check_deterioration(event: _ParsedEvent, policy: Policy) -> Check:
    name, (previous_state, state) = DETERIORATION_CHECK, event.change
    if event.alarm is None:
        if state == "SERVICE_DEPLOYMENT_FAILED":
            return _check(name, "a deployment failed", {"event": state})
        return _check(name, f"{state} is not a failed deployment", {"event": state}, Verdict.FAIL)
    evidence = {"from": previous_state, "to": state}
    allowed = {"OK", "INSUFFICIENT_DATA"} if policy.on_insufficient_data_alarm == "act" else {"OK"}
    if state == "ALARM" and previous_state in allowed:
        return _check(name, f"the alarm went {previous_state}→{state}", evidence)
    reason = f"the alarm went {previous_state}→{state}; only {' or '.join(sorted(allowed))}→ALARM starts a rollback"
    return _check(name, reason, evidence, Verdict.FAIL)


def _check_not_a_test() -> Check:
    return _check("event-is-no-test", "test: this event starts no rollback", {"event": TEST_EVENT}, Verdict.FAIL)


def _check(name: str, reason: str, evidence: dict[str, Any], verdict: Verdict = Verdict.PASS) -> Check:
    return Check(name=name, verdict=verdict, reason=reason, evidence=evidence, suppresses=True)


def _find_service_of_alarm(alarm: str, settings: Settings) -> str:
    for service in settings.service_names:
        if alarm in {degraded_alarm(settings.prefix, service), outage_alarm(settings.prefix, service)}:
            return service
    raise InvalidRequest(f"alarm {quoted(alarm)} is no trigger of {settings.prefix}; nothing was changed")


def _find_service_of_test(event: Mapping[str, Any], settings: Settings) -> str:
    service = _required_text(event["detail"], "service", "detail.service")
    environment = _required_text(event["detail"], "environment", "detail.environment")
    if environment != settings.environment:
        raise InvalidRequest(
            f"the test event is for {quoted(environment)}, not for {settings.environment}; nothing was changed"
        )
    return settings.service(service).name


def parse_deployment_event(event: Mapping[str, Any]) -> tuple[str, str | None]:
    """Return the event's name and the deployment's id (None: the event names no deployment).

    Raises:
        InvalidRequest: one of them has another shape.
    """
    detail = event.get("detail")
    if not isinstance(detail, Mapping):
        raise _incomplete_event("detail", detail, "an object")
    name = _required_text(detail, "eventName", "detail.eventName")
    has_id = detail.get("deploymentId") is not None
    return name, _required_text(detail, "deploymentId", "detail.deploymentId") if has_id else None


def find_service_of_event(
    event: Mapping[str, Any], settings: Settings, account_and_region: AccountAndRegion | None = None
) -> str:
    """Find the name, in the settings, of the service that an ECS event is about.

    Args:
        event: the event.
        settings: the environment's settings.
        account_and_region: account and region of this deployment; None: not known, or checked elsewhere.

    Raises:
        InvalidRequest: the event names no service, none of this environment's, or one of another account or region.
    """
    if not isinstance(event, Mapping):
        raise InvalidRequest(f"the event is {quoted(event)}, not an object; nothing was changed")
    resources = _resources(event)
    if account_and_region is not None and account_and_region.foreign_arns(resources):
        raise InvalidRequest(
            f"{quoted(resources[0], _QUOTED_ARN_CHARACTERS)} is not in {account_and_region}; nothing was changed"
        )
    if not resources:
        raise InvalidRequest("the event names no service in `resources`; nothing was changed")
    return find_service_of_arn(resources[0], settings)


def find_service_of_arn(arn: str, settings: Settings) -> str:
    """Find a service's name in the settings from `arn:aws:ecs:<region>:<account>:service/<cluster>/<service>`.

    Raises:
        InvalidRequest: the service is not one of this environment's.
    """
    cluster_and_name = tuple(arn.split("/")[1:])
    names = [
        service.name
        for service in settings.services
        if cluster_and_name in {(service.cluster, service.ecs_service), (service.ecs_service,)}
    ]
    if len(names) == 1:
        return names[0]
    if names:  # an ARN of the old format names no cluster
        raise InvalidRequest(
            f"{quoted(arn, _QUOTED_ARN_CHARACTERS)} names no cluster, and may be {' or '.join(names)}; nothing was "
            "changed. Turn the account setting serviceLongArnFormat on, and deploy the services again"
        )
    known_services = ", ".join(s.ecs_service for s in settings.services)
    raise InvalidRequest(
        f"{quoted(arn, _QUOTED_ARN_CHARACTERS)} is not a service of this environment ({known_services}); nothing was "
        "changed"
    )
