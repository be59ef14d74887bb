"""Executions of the state machine that were started and stopped."""

import json
import re
from collections.abc import Mapping
from typing import Any

from fakes.aws.request_models import check_request, refuse

EXECUTIONS = "arn:aws:states:eu-west-1:123456789012:execution:macro-ai-production-rollback"
# Step Functions API reference, StartExecution, `name`.
_NOT_IN_A_NAME = re.compile(r"[\s<>{}\[\]?*\"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe-\uffff]")


def execution_arn(name: str) -> str:
    """Return the ARN of an execution by name; an ARN or a `direct:` name stays unchanged."""
    return name if ":" in name else f"{EXECUTIONS}:{name}"


class FakeWorkflow:
    """`started`: executions by name and input, each name once, for the test to take.

    `running`: ARNs of those that run; what is no ARN (direct mode) is no execution. `stopped`: ARNs of those that ran
    until they were stopped; `causes` and `errors`: why. `waiting`: task tokens under which an execution waits;
    `woken`: those under which one was woken, in order.
    """

    def __init__(self) -> None:
        self.started: list[tuple[str, dict[str, Any]]] = []
        self.running: set[str] = set()
        self.stopped: list[str] = []
        self.causes: dict[str, str] = {}
        self.errors: dict[str, str] = {}
        self.waiting: set[str] = set()
        self.woken: list[str] = []
        self._names: set[str] = set()

    def start(self, name: str, execution_input: Mapping[str, Any]) -> None:
        """Start an execution; a repeated name is a success, as in the adapter."""
        text = json.dumps(execution_input)
        check_request("stepfunctions", "StartExecution", name, stateMachineArn="arn", name=name, input=text)
        if _NOT_IN_A_NAME.search(name):
            refuse("StartExecution", name, "InvalidName", f"Invalid Name: '{name}'")
        if name not in self._names:
            self._names.add(name)
            self.started.append((name, json.loads(text)))

    def is_running(self, execution: str) -> bool:
        return execution.startswith("arn:") and execution in self.running

    def stop(self, execution: str, cause: str, error: str = "TakenOver") -> None:
        if not execution.startswith("arn:"):
            return
        check_request("stepfunctions", "StopExecution", execution, executionArn=execution)
        if execution in self.running:
            self.running.discard(execution)
            self.stopped.append(execution)
            self.causes[execution] = cause
            self.errors[execution] = error

    def send_task_success(self, token: str) -> bool:
        check_request("stepfunctions", "SendTaskSuccess", token, taskToken=token, output="{}")
        if token not in self.waiting:
            return False
        self.waiting.discard(token)
        self.woken.append(token)
        return True
