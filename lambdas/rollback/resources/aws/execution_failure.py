"""Reason why a step or an execution failed, in one line for an operator.

A Catch gets `Error` and `Cause`, and an event of EventBridge has `error` and `cause`. A Lambda function's cause is
`{"errorMessage": …, "errorType": …, "requestId": …, "stackTrace": […]}` (Lambda developer guide, "Errors in Python
functions"; Step Functions developer guide, "Handling error conditions").
"""

import json
import re
from dataclasses import dataclass
from typing import Any

from rollback import errors
from rollback.text import service_message

# Texts of these errors are sentences; the text of any other error gets the error's name in front.
_OWN_ERRORS = frozenset(
    name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)
)
_LONGEST, _MAX_NAME = 1000, 100
_MESSAGE = re.compile(r'"errorMessage"\s*:\s*"((?:[^"\\]|\\.)*)', re.DOTALL)  # Step Functions cuts a long cause off
_IN_WORDS = {
    "States.Timeout": "it did not end in time",
    "Sandbox.Timedout": "the function did not end in time",
    "States.DataLimitExceeded": "more data than Step Functions carries",
}


@dataclass(frozen=True)
class ExecutionFailure:
    """Failure of a step or an execution.

    Attributes:
        error: name of the error, for comparisons.
        text: one line for an operator.
    """

    error: str
    text: str

    @classmethod
    def read(cls, error: object, cause: object) -> "ExecutionFailure":
        """Read the two fields of a Catch or an event; either may be missing or have any type."""
        name, parsed = str(error or ""), _parse_cause(cause)
        if isinstance(parsed, dict):
            name = str(parsed.get("errorType") or name)
            message = str(parsed.get("errorMessage") or "") if "errorMessage" in parsed else _in_words(parsed)
        else:
            message = parsed
        name = service_message(name, _MAX_NAME)
        message = _shortened(message) or _IN_WORDS.get(name, "no cause given")
        return cls(error=name, text=message if not name or name in _OWN_ERRORS else f"{name}: {message}")


def _parse_cause(cause: object) -> dict[str, Any] | str:
    """Decode the cause; text that is no JSON stays as it is."""
    if not isinstance(cause, str):
        return cause if isinstance(cause, dict) else _in_words(cause)
    try:
        parsed = json.loads(cause)
    except (ValueError, RecursionError):
        cut_off = _MESSAGE.search(cause)
        return _unescaped(cut_off[1]) if cut_off is not None else cause
    return parsed if isinstance(parsed, dict) else _in_words(parsed)


def _unescaped(text: str) -> str:
    try:
        return str(json.loads(f'"{text}"'))
    except ValueError:
        return text


def _in_words(value: object) -> str:
    """Render JSON that is no function's error as names and plain values, without brackets or a stack trace."""
    if isinstance(value, dict):
        return "; ".join(f"{name}: {part}" for name, part in value.items() if isinstance(part, str | int | float))
    if isinstance(value, list):
        return "; ".join(str(part) for part in value if isinstance(part, str | int | float))
    return "" if value is None else str(value)


def _shortened(text: str) -> str:
    line = service_message(text, _LONGEST)
    return line.rstrip(".")
