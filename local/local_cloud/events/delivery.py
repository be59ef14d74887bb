"""Delivery of an event to one target: retries, then the dead-letter queue. A log keeps every result."""

import contextlib
import json
import threading
import time
from dataclasses import dataclass
from typing import Any, Literal

from botocore.exceptions import BotoCoreError, ClientError

from local_cloud import clock
from local_cloud.events import targets
from local_cloud.events.payload import payload_for
from local_cloud.iam import credentials

_MAX_PAUSE_SECONDS = 60.0
_CODES = {
    "AccessDenied": "NO_PERMISSIONS",
    "NotFound": "NO_RESOURCE",
    "DoesNotExist": "NO_RESOURCE",
    "NonExistent": "NO_RESOURCE",
    "Throttl": "THROTTLING",
    "TooManyRequests": "THROTTLING",
    "AlreadyExists": "RESOURCE_ALREADY_EXISTS",
}
"""EventBridge's code for a target's error, by a part of the error's name."""
_FINAL = {"NO_PERMISSIONS", "NO_RESOURCE", "SDK_CLIENT_ERROR"}
"""Codes that EventBridge does not retry."""


@dataclass(frozen=True)
class Delivery:
    """The result of one event at one target."""

    rule_arn: str
    target_arn: str
    event_id: str
    outcome: Literal["delivered", "dead-lettered", "dropped"]
    attempts: int
    error_code: str | None = None
    error_message: str | None = None


class Deliveries:
    """The delivery log, and the signal that ends waiting deliveries."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._log: list[Delivery] = []
        self.stopping = threading.Event()

    def record(self, delivery: Delivery) -> None:
        """Add a result."""
        with self._lock:
            self._log.append(delivery)

    def all(self) -> list[Delivery]:
        """Return all results, the oldest first."""
        with self._lock:
            return list(self._log)

    def clear(self) -> None:
        """Forget all results."""
        with self._lock:
            self._log.clear()


log = Deliveries()


def deliver(rule_arn: str, target: dict[str, Any], event: dict[str, Any]) -> None:
    """Deliver an event with the target's retry policy, in simulated seconds (AWS's defaults: 185 retries, 24 hours)."""
    policy = target.get("RetryPolicy") or {}
    most_retries = int(policy.get("MaximumRetryAttempts", 185))
    most_seconds = clock.real_seconds(float(policy.get("MaximumEventAgeInSeconds", 86_400)))
    payload, began_at, attempts = payload_for(target, event, rule_arn), time.monotonic(), 0
    while not log.stopping.is_set():
        attempts += 1
        try:
            targets.call(target, payload, event)
        except (ClientError, BotoCoreError, targets.UnsupportedTarget) as error:
            code = _error_code(error)
            pause = clock.real_seconds(min(2.0 ** (attempts - 1), _MAX_PAUSE_SECONDS))
            condition = None
            if attempts > most_retries:
                condition = "MaximumRetryAttempts"
            elif time.monotonic() + pause - began_at > most_seconds:
                condition = "MaximumEventAgeInSeconds"
            if code in _FINAL or condition:
                _record_failed_delivery(rule_arn, target, event, attempts, code, str(error), condition)
                return
            log.stopping.wait(pause)
        else:
            log.record(Delivery(rule_arn, target["Arn"], event["id"], "delivered", attempts))
            return


def _error_code(error: Exception) -> str:
    if not isinstance(error, ClientError):
        return "SDK_CLIENT_ERROR" if isinstance(error, targets.UnsupportedTarget) else "CONNECTION_FAILURE"
    name = str(error.response["Error"].get("Code", ""))
    return next((code for part, code in _CODES.items() if part in name), "ERROR_FROM_TARGET")


def _record_failed_delivery(
    rule_arn: str,
    target: dict[str, Any],
    event: dict[str, Any],
    attempts: int,
    code: str,
    message: str,
    condition: str | None,
) -> None:
    """Send the original event to the dead-letter queue, with the attributes that AWS documents, or drop it."""
    outcome: Literal["dead-lettered", "dropped"] = "dropped"
    if queue := (target.get("DeadLetterConfig") or {}).get("Arn"):
        attributes = {
            "RULE_ARN": rule_arn,
            "TARGET_ARN": target["Arn"],
            "ERROR_CODE": code,
            "ERROR_MESSAGE": message,
            "RETRY_ATTEMPTS": str(attempts - 1),
        } | ({"EXHAUSTED_RETRY_CONDITION": condition} if condition else {})
        with contextlib.suppress(ClientError, BotoCoreError):
            credentials.service_client("sqs", queue.split(":")[3]).send_message(
                QueueUrl=targets.queue_url(queue),
                MessageBody=json.dumps(event),
                MessageAttributes={
                    name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
                },
            )
            outcome = "dead-lettered"
    log.record(Delivery(rule_arn, target["Arn"], event["id"], outcome, attempts, code, message))
