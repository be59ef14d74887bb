"""Shim of the names of functions' errors: Lambda returns the class, MiniStack `Runtime.HandlerError` for all.

Step Functions' Retry and Catch match these names. The shim reads a name from the traceback in MiniStack's log.
"""

import re
from typing import Any

from ministack.services import lambda_svc

_RAISED = re.compile(r"^(?:\w+\.)*(\w+)(?::|$)")
_UNNAMED = "Runtime.HandlerError"


def _class_of(message: str, log: str) -> str | None:
    """Read the class from a traceback's last line that begins with a class and holds the message's first line."""
    first = message.split("\n", maxsplit=1)[0]
    for line in reversed(log.splitlines()):
        match = None if line.startswith(" ") or first not in line else _RAISED.match(line)
        if match:
            return match[1]
    return None


def install() -> None:
    """Name the class that a function raised; a dead process is `Runtime.ExitError`, as in Lambda."""
    plain = lambda_svc._execute_function_warm

    def execute(*arguments: Any, **named: Any) -> Any:
        answer = plain(*arguments, **named)
        body = answer.get("body")
        if answer.get("error") and isinstance(body, dict) and body.get("errorType") == _UNNAMED:
            message = str(body.get("errorMessage", ""))
            has_died = message == "Worker process died"
            body["errorType"] = (
                "Runtime.ExitError" if has_died else _class_of(message, str(answer.get("log"))) or _UNNAMED
            )
        return answer

    lambda_svc._execute_function_warm = execute
