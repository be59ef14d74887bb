"""The request of somebody who looked at one deployment, and found it bad.

That is a pipeline whose checks failed (`rollback verify --rollback-on-failure`), or the watch over a fresh release.

Such a start is an automatic trigger: the guards judge it, and it can't force, name a target or a type. So it never may
do more than a manual start. Its event id comes from the deployment, and the ledger takes an id once: a
pipeline's job that runs again starts no second rollback, nor does a watch.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from rollback.check import Check
from rollback.domain.request import DEPLOYMENT_CHECKS, Request, Trigger
from rollback.domain.rollback import TriggerEvent
from rollback.domain.settings.environment import Settings
from rollback.domain.settings.policy import Policy
from rollback.errors import InvalidRequest
from rollback.resources.aws.ecs_service import ServiceView
from rollback.text import NAME_LIMIT, REASON_LIMIT, REQUESTER_LIMIT, one_line, quoted

FRESH_CHECK, RUNS_CHECK = "health-check-is-fresh", "deployment-is-still-primary"
_FIELDS = ("trigger", "service", "deployment", "at", "failed_checks", "requested_by")
_DEPLOYMENT = re.compile(r"ecs-svc/[0-9]{1,40}", re.ASCII)  # `deployments[].id` of DescribeServices
_MAX_CHECKS = 30
_MAX_CLOCK_SKEW = timedelta(minutes=1)


def is_health_check(execution_input: object) -> bool:
    """Whether an input is such a request, by its member `trigger`."""
    return isinstance(execution_input, Mapping) and execution_input.get("trigger") in tuple(DEPLOYMENT_CHECKS)


def build_input(
    service: str,
    deployment_id: str,
    at: datetime,
    failed: tuple[Check, ...],
    requested_by: str,
    trigger: Trigger = Trigger.HEALTH_CHECK,
) -> dict[str, Any]:
    """Make the input of an execution."""
    return {
        "trigger": trigger.value,
        "service": service,
        "deployment": deployment_id,
        "at": at.astimezone(UTC).isoformat(),
        "failed_checks": [
            {"name": check.name, "reason": one_line(check.reason, REASON_LIMIT // 2)} for check in failed[:_MAX_CHECKS]
        ],
        "requested_by": one_line(requested_by, REQUESTER_LIMIT),
    }


def read_health_check(execution_input: Mapping[str, Any], settings: Settings) -> tuple[Request, Trigger, TriggerEvent]:
    """Parse such a request.

    Raises:
        InvalidRequest: a field is missing, unknown, or of another shape; nothing was changed.
    """
    unknown = sorted(str(name) for name in execution_input if name not in (*_FIELDS, "Comment"))
    if unknown:
        raise InvalidRequest(
            f"field {quoted(unknown[0])} is not allowed in a start by a health check; allowed: {', '.join(_FIELDS)}; "
            "nothing was changed"
        )
    service = settings.service(_text(execution_input, "service", NAME_LIMIT)).name
    deployment_id = _text(execution_input, "deployment", NAME_LIMIT)
    if not _DEPLOYMENT.fullmatch(deployment_id):
        raise InvalidRequest(
            f"deployment is {quoted(deployment_id)}; it must be the id of an ECS deployment, ecs-svc/<number>; "
            "nothing was changed"
        )
    trigger = Trigger(execution_input["trigger"])
    reason = f"failed health checks: {_list_checks(execution_input.get('failed_checks'))}"
    request = Request(
        service=service,
        reason=one_line(reason, REASON_LIMIT),
        requested_by=one_line(_text(execution_input, "requested_by", REQUESTER_LIMIT), REQUESTER_LIMIT),
    )
    event = TriggerEvent(
        id=f"{trigger.replace('_', '-')}/{service}/{deployment_id}",
        at=_time(execution_input.get("at")),
        deployment_id=deployment_id,
        reason=request.reason,
    )
    return request, trigger, event


def judge_health_check(event: TriggerEvent, view: ServiceView, policy: Policy, now: datetime) -> tuple[Check, ...]:
    """Check that the health check is fresh (rule 10), and that the deployment that it judged still is PRIMARY.

    Args:
        event: the trigger.
        view: the service as ECS describes it now.
        policy: the environment's policy.
        now: the present time.
    """
    age = now - event.at
    minutes = age.total_seconds() / 60
    primary = view.primary.id
    stale = None
    if age > timedelta(minutes=policy.stale_trigger_minutes) or age < -_MAX_CLOCK_SKEW:
        stale = f"the health check is {minutes:.1f} minutes old; allowed is 0 to {policy.stale_trigger_minutes:g}"
    other = f"PRIMARY is {primary} now, not {event.deployment_id}" if primary != event.deployment_id else None
    return (
        Check.failed_if(stale, FRESH_CHECK, f"it is {max(0.0, minutes):.1f} minutes old", suppresses=stale is not None),
        Check.failed_if(other, RUNS_CHECK, f"{primary} is PRIMARY", suppresses=other is not None),
    )


def _list_checks(value: object) -> str:
    if not isinstance(value, list | tuple) or not 0 < len(value) <= _MAX_CHECKS:
        raise InvalidRequest(
            f"failed_checks is {quoted(value)}; it must be a list of 1 to {_MAX_CHECKS} objects with name and reason; "
            "nothing was changed"
        )
    parts = []
    for check in value:
        if not isinstance(check, Mapping):
            raise InvalidRequest(f"failed_checks has {quoted(check)}, not an object; nothing was changed")
        parts.append(f"{_text(check, 'name', NAME_LIMIT)}: {_text(check, 'reason', REASON_LIMIT)}")
    return "; ".join(parts)


def _text(fields: Mapping[str, Any], name: str, limit: int) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not value.strip() or len(value) > limit:
        raise InvalidRequest(
            f"{name} is {quoted(value)}; it must be a text of 1 to {limit} characters; nothing was changed"
        )
    return value


def _time(value: object) -> datetime:
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise InvalidRequest(
            f"at is {quoted(value)}; it must be a time with its zone, like 2026-03-01T02:59:00Z; nothing was changed"
        )
    return at.astimezone(UTC)
