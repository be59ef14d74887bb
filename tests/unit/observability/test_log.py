"""The functions' log: one line for each decision and for each change, and no value that is not on the allow-list."""

import io
import json
import uuid
from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr
from simulations.service import Simulation, start_simulation
from support.builders import NOW, SERVICE, release, rollback
from support.stand_ins import DenyingPort, access_denied_error

from rollback.domain.rollback import Outcome
from rollback.errors import CallRefused
from rollback.observability.log import InvocationLog
from rollback.observability.observed_ports import observe_ports
from rollback.observability.safe_arguments import safe_arguments


class LogOutput:
    """Log of one execution environment, whose lines a test reads."""

    def __init__(self) -> None:
        self._stream = io.StringIO()
        self.log = InvocationLog(f"test-{uuid.uuid4()}", self._stream)  # Powertools shares a logger by its name

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._stream.getvalue().splitlines()]


@pytest.fixture
def output() -> LogOutput:
    return LogOutput()


def observed(output: LogOutput) -> Simulation:
    simulation = start_simulation()
    simulation.ports = observe_ports(simulation.ports, output.log)
    return simulation


def test_a_rollback_logs_a_decision_for_every_save_and_a_line_for_every_change(output: LogOutput) -> None:
    output.log.begin_invocation({"step": "plan"}, None)
    ended = observed(output).run()
    assert ended.outcome is Outcome.SUCCEEDED
    decisions = [line for line in output.lines if line["message"] == "decided"]
    changes = [line["call"] for line in output.lines if line["message"] == "changed"]
    assert [line["version"] for line in decisions] == sorted({line["version"] for line in decisions})
    assert (decisions[-1]["outcome"], decisions[-1]["rollback_id"], decisions[-1]["service"]) == (
        "succeeded",
        ended.id,
        SERVICE,
    )
    assert "services.update" in changes
    assert "notifications.publish" in changes
    assert not [call for call in changes if call.startswith("metrics")]


def test_every_line_names_the_rollback_the_service_the_step_and_the_execution(output: LogOutput) -> None:
    output.log.begin_invocation({"step": "plan"}, None)
    ended = observed(output).run()
    for line in output.lines:
        assert {"rollback_id", "service", "step", "execution", "cold_start"} <= line.keys()
    assert output.lines[-1]["execution"] == ended.execution


def test_a_refused_change_is_logged_with_the_class_of_its_error_and_without_its_text(output: LogOutput) -> None:
    simulation = start_simulation()
    denied = DenyingPort(simulation.services, "update", refused=access_denied_error("update"))
    ports = observe_ports(replace(simulation.ports, services=denied), output.log)
    with pytest.raises(CallRefused):
        ports.services.update(simulation.service_settings)
    (line,) = output.lines
    assert (line["message"], line["failure"], line["call"]) == ("change failed", "CallRefused", "services.update")
    assert "not authorized" not in json.dumps(line)


def test_the_second_invocation_has_no_key_of_the_first_and_is_no_cold_start(output: LogOutput) -> None:
    output.log.begin_invocation({"step": "plan", "cursor": {"rollback_id": "a-b-c"}}, None)
    output.log.write_change("sns.publish", {}, 1, "")
    output.log.begin_invocation({"detail-type": "Scheduled Event"}, None)
    output.log.write_change("sns.publish", {}, 1, "")
    first, second = output.lines
    assert (first["rollback_id"], first["cold_start"]) == ("a-b-c", True)
    assert (second["rollback_id"], second["step"], second["cold_start"]) == ("", "Scheduled Event", False)


def test_the_janitors_reads_of_another_rollback_do_not_change_the_context_of_a_step(output: LogOutput) -> None:
    output.log.begin_invocation({"step": "plan", "cursor": {"rollback_id": "a-b-c"}}, None)
    output.log.follow(rollback())
    output.log.write_change("sns.publish", {}, 1, "")
    assert output.lines[0]["rollback_id"] == "a-b-c"


def test_only_names_ids_and_numbers_are_logged_of_arguments() -> None:
    secret = "postgresql://owner:hunter2@host/db"
    arguments = safe_arguments(
        ("service", "address", "message", "definition", "count"),
        ("express-api", SecretStr(secret), secret, {"environment": [secret]}),
        {"count": 2, "at": NOW, "release": release("v1")},
    )
    assert secret not in json.dumps(arguments)
    assert arguments["service"] == "express-api"
    assert (arguments["address"], arguments["message"], arguments["definition"]) == ("SecretStr", "str", "dict")
    assert (arguments["count"], arguments["at"]) == (2, NOW.isoformat())
    assert arguments["release"]["version"] == "v1"
