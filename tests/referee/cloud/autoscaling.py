"""Shim of Application Auto Scaling, which MiniStack lacks: no service is scaled. IAM decides before an answer.

An operation outside of `ANSWERS` is refused with its name.
"""

import json
from typing import Any

from ministack import app
from ministack.core import iam_actions

_SERVICE = "application-autoscaling"
_TARGET = "AnyScaleFrontendService."
ANSWERS: dict[str, dict[str, Any]] = {
    "DescribeScalableTargets": {"ScalableTargets": []},
    "DescribeScalingActivities": {"ScalingActivities": []},
    "DescribeScalingPolicies": {"ScalingPolicies": []},
    "DescribeScheduledActions": {"ScheduledActions": []},
}
_HEADERS = {"Content-Type": "application/x-amz-json-1.1"}


async def _handle(method: str, path: str, headers: dict[str, str], body: bytes, query: Any) -> Any:
    operation = headers["x-amz-target"].removeprefix(_TARGET)
    if operation in ANSWERS:
        return 200, dict(_HEADERS), json.dumps(ANSWERS[operation]).encode()
    unknown = {"__type": "UnknownOperationException", "message": f"{_SERVICE}:{operation}"}
    return 400, dict(_HEADERS), json.dumps(unknown).encode()


def install() -> None:
    """Route the service's calls, with IAM's namespace, to the answers above."""
    plain = app.detect_service

    def detect(method: str, path: str, headers: dict[str, str], query: Any) -> Any:
        is_ours = headers.get("x-amz-target", "").startswith(_TARGET)
        return _SERVICE if is_ours else plain(method, path, headers, query)

    app.detect_service = detect
    app.SERVICE_HANDLERS[_SERVICE] = _handle
    iam_actions.SERVICE_TO_IAM_NAMESPACE[_SERVICE] = _SERVICE
