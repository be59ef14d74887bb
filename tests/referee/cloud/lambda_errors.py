"""Names of the errors that functions raise: Lambda answers the class, MiniStack `Runtime.HandlerError` for all.

Step Functions' Retry and Catch go by these names. The name is read from the traceback that MiniStack's worker prints.
"""

import re
from typing import Any

from ministack.services import lambda_svc

_RAISED = re.compile(r"^(?:\w+\.)*(\w+)(?::|$)")
_UNNAMED = "Runtime.HandlerError"


def _class_of(message: str, log: str) -> str | None:
    """The last line of a traceback that begins with a class and holds the first line of the message."""
    first = message.split("\n", maxsplit=1)[0]
    for line in reversed(log.splitlines()):
        found = None if line.startswith(" ") or first not in line else _RAISED.match(line)
        if found:
            return found[1]
    return None


def install() -> None:
    """Name what a function raised; a process that died is `Runtime.ExitError`, as Lambda calls it."""
    plain = lambda_svc._execute_function_warm

    def execute(*given: Any, **named: Any) -> Any:
        answer = plain(*given, **named)
        body = answer.get("body")
        if answer.get("error") and isinstance(body, dict) and body.get("errorType") == _UNNAMED:
            message = str(body.get("errorMessage", ""))
            died = message == "Worker process died"
            body["errorType"] = "Runtime.ExitError" if died else _class_of(message, str(answer.get("log"))) or _UNNAMED
        return answer

    lambda_svc._execute_function_warm = execute
