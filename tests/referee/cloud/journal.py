"""Journal of IAM's decisions about roles' calls, and of calls that MiniStack doesn't know: a line of JSON each.

The referee's tests read the journal: a denial or an unknown call that no test provoked fails the run by its name.
"""

import json
import threading
from pathlib import Path
from typing import Any

from ministack import app
from ministack.core import iam_actions, iam_evaluator

_UNKNOWN_CODES = ("InvalidAction", "UnknownOperation", "UnknownAction", "Unsupported service", "not implemented")
_lock = threading.Lock()


def install(path: Path) -> None:
    """Write the journal to a file from now on."""
    path.touch()

    def write(**line: Any) -> None:
        with _lock, path.open("a") as journal:
            journal.write(json.dumps(line, default=str) + "\n")

    _write_decisions(write)
    _write_unknown_calls(write)


def _write_decisions(write: Any) -> None:
    plain_enforce, plain_evaluate = iam_evaluator.enforce, iam_evaluator.evaluate

    def enforce(
        key: str, action: str, service: str, region: str, resource_arn: str = "*", service_context: Any = None
    ) -> Any:
        denial = plain_enforce(key, action, service, region, resource_arn=resource_arn, service_context=service_context)
        caller = (iam_evaluator.resolve_caller_identity(key or "") or {}).get("userArn", "")
        if ":assumed-role/" in caller:
            write(role=caller.split("/")[1], action=action, resource=resource_arn, allowed=denial is None)
        return denial

    def evaluate(context: Any, *policies: Any) -> Any:
        context.secure_transport = True  # MiniStack has plain HTTP only, which our policies rightly refuse
        return plain_evaluate(context, *policies)

    iam_evaluator.enforce, iam_evaluator.evaluate = enforce, evaluate


def _write_unknown_calls(write: Any) -> None:
    plain = app._dispatch_service_request

    async def dispatch(method: str, path: str, headers: dict[str, str], body: bytes, query: Any, request: str) -> Any:
        routing = app._routing_params(method, path, headers, body, query)
        service = app.detect_service(method, path, headers, routing)
        action = iam_actions.extract_iam_action(service, method, path, headers, body, routing)
        name = action or f"{service} {method} {path}"
        try:
            answer = await plain(method, path, headers, body, query, request)
        except Exception as error:
            write(unknown=name, answer=repr(error)[:300])
            raise
        status, _, text = answer
        shown = text[:300].decode("utf-8", "replace") if isinstance(text, bytes) else str(text)[:300]
        if status == 501 or (status >= 400 and any(code in shown for code in _UNKNOWN_CODES)):
            write(unknown=name, answer=shown)
        return answer

    app._dispatch_service_request = dispatch
