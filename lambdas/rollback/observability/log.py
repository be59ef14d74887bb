"""The functions' log: JSON lines by AWS Lambda Powertools (decision 40).

Every line has `rollback_id`, `service`, `step`, `execution` and the id of the invocation; a value is empty where no
rollback is run.
"""

from collections.abc import Mapping
from typing import Any, TextIO

from aws_lambda_powertools.logging import Logger

from rollback.domain.rollback import Rollback
from rollback.workflow.route import next_step

_NO_ROLLBACK = {"rollback_id": "", "service": "", "step": "", "execution": ""}


class InvocationLog:
    """Writer of the lines of one execution environment; each invocation replaces its context."""

    def __init__(self, name: str | None = None, out: TextIO | None = None) -> None:
        self._logger = Logger(service=name, stream=out, use_rfc3339=True)  # defaults: environment
        self._logger.append_keys(**_NO_ROLLBACK)
        self._is_cold_start = True
        self._rollback_id = ""

    def begin_invocation(self, event: Mapping[str, Any], context: object) -> None:
        """Replace the context by that of a new invocation.

        Args:
            event: input of the function, of which only the step and ids are read.
            context: Lambda's context object; a test may give None.
        """
        cursor = event.get("cursor")
        self._rollback_id = str(cursor.get("rollback_id") or "") if isinstance(cursor, Mapping) else ""
        self._logger.append_keys(
            **{
                **_NO_ROLLBACK,
                "rollback_id": self._rollback_id,
                "step": str(event.get("step") or event.get("detail-type") or ""),
                "execution": str(event.get("execution") or ""),
                "function_name": str(getattr(context, "function_name", "")),
                "function_request_id": str(getattr(context, "aws_request_id", "")),
                "cold_start": self._is_cold_start,
            }
        )
        self._is_cold_start = False

    def follow(self, rollback: Rollback) -> None:
        """Put the rollback into the context, if this invocation runs it or created it; the janitor reads others."""
        if not self._rollback_id or self._rollback_id == rollback.id:
            self._logger.append_keys(
                rollback_id=rollback.id, service=rollback.service_name, execution=rollback.execution
            )

    def write_decision(self, rollback: Rollback) -> None:
        """Write a line about a saved document: the result of one round of a step."""
        self._logger.info(
            "decided",
            extra={
                "rollback_id": rollback.id,
                "service": rollback.service_name,
                "execution": rollback.execution,
                "version": rollback.version,
                "next": str(next_step(rollback)),
                "wait_seconds": rollback.wait_seconds,
                "outcome": str(rollback.outcome or ""),
                "reason": rollback.reason,
                "failed_checks": list(rollback.failed_check_names),
            },
        )

    def write_change(self, call: str, arguments: Mapping[str, Any], milliseconds: int, failure: str) -> None:
        """Write a line about a call that changes something.

        Args:
            call: port and method.
            arguments: values that `safe_arguments` let through.
            milliseconds: duration of the call.
            failure: class of the error that the call raised; empty: it succeeded. The error's text may quote its input.
        """
        fields = {"call": call, "arguments": dict(arguments), "milliseconds": milliseconds}
        if failure:
            self._logger.warning("change failed", extra={**fields, "failure": failure})
        else:
            self._logger.info("changed", extra=fields)
