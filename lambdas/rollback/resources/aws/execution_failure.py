"""Why a step or an execution failed, read from what Step Functions tells of it, for people.

A Catch gets `Error` and `Cause`, an event of EventBridge `error` and `cause`. Of a Lambda function the cause is a JSON
text: `{"errorMessage": …, "errorType": …, "requestId": …, "stackTrace": […]}` (Lambda developer guide, "Errors in
Python functions"; Step Functions developer guide, "Handling error conditions"). Nobody can read that at 03:00.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

from rollback import errors
from rollback.text import service_message

# Their texts are sentences already; the name of any other error is a part of what is told.
_OWN_ERRORS = frozenset(
    name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)
)
_LONGEST, _LONGEST_NAME = 1000, 100
_MESSAGE = re.compile(r'"errorMessage"\s*:\s*"((?:[^"\\]|\\.)*)', re.DOTALL)  # Step Functions cuts a long cause off
_IN_WORDS = {
    "States.Timeout": "it did not end in time",
    "Sandbox.Timedout": "the function did not end in time",
    "States.DataLimitExceeded": "more data than Step Functions carries",
}


@dataclass(frozen=True)
class ExecutionFailure:
    """`error` is a name that can be compared, `text` one line for people."""

    error: str
    text: str

    @classmethod
    def read(cls, error: object, cause: object) -> "ExecutionFailure":
        """From a Catch's or an event's two fields; either may be missing, or be anything."""
        name, told = str(error or ""), _parse_cause(cause)
        if isinstance(told, dict):
            name = str(told.get("errorType") or name)
            message = str(told.get("errorMessage") or "") if "errorMessage" in told else _in_words(told)
        else:
            message = told
        name = service_message(name, _LONGEST_NAME)
        message = _shortened(message) or _IN_WORDS.get(name, "no cause given")
        return cls(error=name, text=message if not name or name in _OWN_ERRORS else f"{name}: {message}")


def _parse_cause(cause: object) -> dict[str, Any] | str:
    """Decode the cause; text that is no JSON stays as it is."""
    if not isinstance(cause, str):
        return cause if isinstance(cause, dict) else _in_words(cause)
    try:
        told = json.loads(cause)
    except (ValueError, RecursionError):
        cut_off = _MESSAGE.search(cause)
        return _unescaped(cut_off[1]) if cut_off is not None else cause
    return told if isinstance(told, dict) else _in_words(told)


def _unescaped(text: str) -> str:
    try:
        return str(json.loads(f'"{text}"'))
    except ValueError:
        return text


def _in_words(told: object) -> str:
    """Render JSON that is no function's error as names and plain values, without brackets or a stack trace."""
    if isinstance(told, dict):
        return "; ".join(f"{name}: {value}" for name, value in told.items() if isinstance(value, str | int | float))
    if isinstance(told, list):
        return "; ".join(str(value) for value in told if isinstance(value, str | int | float))
    return "" if told is None else str(told)


def _shortened(text: str) -> str:
    line = service_message(text, _LONGEST)
    return line.rstrip(".")
