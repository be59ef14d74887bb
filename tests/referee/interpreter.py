"""Interpreter of state machines of one cloud: ours and MiniStack's play the same executions."""

import io
import json
import re
import time
import zipfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from referee.executions import Execution

from rollback_constructs import promotion, workflow

_FUNCTION = "scripted"
_TOGETHER = 12
_SECONDS = 150  # on a busy machine
_TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": ["lambda.amazonaws.com", "states.amazonaws.com"]},
            "Action": "sts:AssumeRole",
        }
    ],
}
_ALL = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


@dataclass(frozen=True)
class ExecutionOutcome:
    """Result of an execution, without the parts that each cloud words in its own way."""

    status: str
    error: str | None
    message: str
    output: Any
    states: tuple[str, ...]
    calls: tuple[dict[str, Any], ...]


class Interpreter:
    """Cloud with both state machines, whose tasks all call one scripted function."""

    def __init__(self, name: str, environment: Mapping[str, str], folder: Path) -> None:
        self.name, self._environment, self._folder = name, environment, folder
        self._states = self._client("stepfunctions")
        role = self._role()
        function = self._function(role)
        substitutes = re.compile(r"\$\{\w+\}")
        definitions = {
            "rollback": workflow.definition(240, has_database=True),
            "promotion": promotion.definition(240),
        }
        self._machines = {
            machine: self._states.create_state_machine(
                name=f"scripted-{machine}",
                definition=substitutes.sub(
                    lambda _: function, json.dumps(definition).replace("${AWS::Partition}", "aws")
                ),
                roleArn=role,
            )["stateMachineArn"]
            for machine, definition in definitions.items()
        }

    def play(self, executions: Mapping[str, Execution]) -> dict[str, ExecutionOutcome]:
        """Play all executions, twelve at a time."""
        with ThreadPoolExecutor(_TOGETHER) as pool:
            return dict(zip(executions, pool.map(self._play, executions.items()), strict=True))

    def _play(self, item: tuple[str, Execution]) -> ExecutionOutcome:
        title, execution = item
        key = re.sub(r"\W+", "-", title)
        script = [_with_id(act, key) for act in execution.script]
        (self._folder / f"{key}.json").write_text(json.dumps(script))
        execution_input = (
            {**execution.execution_input, "id": key} if execution.machine == "promotion" else execution.execution_input
        )
        started = self._states.start_execution(
            stateMachineArn=self._machines[execution.machine], name=key, input=json.dumps(execution_input)
        )
        description = self._wait_until_ended(started["executionArn"])
        output = json.loads(description["output"]) if description["status"] == "SUCCEEDED" else None
        states = self._entered_states(started["executionArn"])
        return ExecutionOutcome(
            description["status"],
            description.get("error"),
            _message(description.get("cause")),
            output,
            states,
            self._calls(key),
        )

    def _wait_until_ended(self, arn: str) -> dict[str, Any]:
        deadline, pause = time.monotonic() + _SECONDS, 0.3
        while True:
            time.sleep(pause)
            described: dict[str, Any] = self._states.describe_execution(executionArn=arn)
            if described["status"] != "RUNNING" or time.monotonic() > deadline:
                return described
            pause = min(1.0, pause * 1.3)

    def _entered_states(self, arn: str) -> tuple[str, ...]:
        pages = self._states.get_paginator("get_execution_history").paginate(executionArn=arn)
        events = [event for page in pages for event in page["events"]]
        return tuple(e["stateEnteredEventDetails"]["name"] for e in events if "stateEnteredEventDetails" in e)

    def _calls(self, key: str) -> tuple[dict[str, Any], ...]:
        """Events that the function got, without the parts that each cloud words or times in its own way."""
        file = self._folder / f"{key}.{self.name}.calls"
        return tuple(_comparable(json.loads(line)) for line in (file.read_text().splitlines() if file.exists() else ()))

    def _role(self) -> str:
        iam = self._client("iam")
        created = iam.create_role(RoleName=_FUNCTION, AssumeRolePolicyDocument=json.dumps(_TRUST))
        iam.put_role_policy(RoleName=_FUNCTION, PolicyName="all", PolicyDocument=json.dumps(_ALL))
        return str(created["Role"]["Arn"])

    def _function(self, role: str) -> str:
        code = io.BytesIO()
        with zipfile.ZipFile(code, "w") as archive:
            archive.write(Path(__file__).with_name("scripted_function.py"), "scripted_function.py")
            archive.writestr("botocore.py", "# hides the SDK, which MiniStack loads after each error of a function\n")
        variables = {"SCRIPTS": str(self._folder), "CLOUD": self.name}
        created = self._client("lambda").create_function(
            FunctionName=_FUNCTION, Runtime="python3.11", Role=role, Handler="scripted_function.handler", Timeout=3,
            Code={"ZipFile": code.getvalue()}, Environment={"Variables": variables},
        )  # fmt: skip
        return str(created["FunctionArn"])

    def _client(self, service: str) -> Any:
        import boto3  # noqa: PLC0415 - the import takes a while
        from botocore.config import Config  # noqa: PLC0415

        environment = self._environment
        return cast(Any, boto3.Session()).client(
            service,
            endpoint_url=environment["AWS_ENDPOINT_URL"],
            region_name=environment["AWS_REGION"] if "AWS_REGION" in environment else environment["AWS_DEFAULT_REGION"],
            aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
            config=Config(max_pool_connections=_TOGETHER, retries={"mode": "standard", "total_max_attempts": 5}),
        )


def _with_id(act: dict[str, Any], key: str) -> dict[str, Any]:
    cursor = act.get("return")
    return {**act, "return": {"id": key, **cursor}} if isinstance(cursor, dict) else act


def _message(cause: str | None) -> str:
    """Return the message of the error that a function raised; other causes are worded by each cloud in its own way."""
    try:
        parsed = json.loads(cause or "")
    except ValueError:
        return ""
    return str(parsed.get("errorMessage", "")) if isinstance(parsed, dict) else ""


def _comparable(event: dict[str, Any]) -> dict[str, Any]:
    comparable = {name: value for name, value in event.items() if name != "started_at"}
    if "execution" in comparable:
        comparable["execution"] = comparable["execution"].rpartition(":")[2]
    cursor = comparable.get("cursor")
    error = cursor.get("error") if isinstance(cursor, dict) else None
    if isinstance(cursor, dict) and isinstance(error, dict):
        comparable["cursor"] = {**cursor, "error": {"Error": error.get("Error"), "Cause": _message(error.get("Cause"))}}
    return comparable
