"""A secret planted in every store is in no log line, report, message, ledger item or cursor, whatever fails."""

import io
import json
import uuid
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import pytest
from fakes.aws.secrets import FakeSecrets
from pydantic import SecretStr
from simulations.database import BRANCH, KEY, DatabaseSimulation

from rollback.domain.rollback import Outcome, Rollback
from rollback.domain.settings.policy import Policy
from rollback.effects import MARK
from rollback.errors import RollbackError
from rollback.observability.log import InvocationLog
from rollback.observability.observed_ports import observe_ports
from rollback.ports.all_ports import AllPorts
from rollback.reports.report import message
from rollback.resources.database.errors import Unreachable
from rollback.workflow.runner import cursor_of

CANARY = "c4n4ry-s3cr3t"
CONNECTION = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:connection-AbCdEf"
FULL = {"type": "full", "target_version": "v1", "force": True}


class Environment:
    """An environment with a secret in each store, whose functions write a log."""

    def __init__(self) -> None:
        self.simulation = DatabaseSimulation(Policy(), connection_secret_arn=CONNECTION, probe_minutes=5)
        secrets = FakeSecrets()
        secrets.values = {KEY: SecretStr(CANARY), CONNECTION: SecretStr(f"postgresql://app:{CANARY}@host/neondb")}
        self._plant_in_definitions()
        self.simulation.neon._logs[BRANCH].password = CANARY
        self.out = io.StringIO()
        self.log = InvocationLog(f"canary-{uuid.uuid4()}", self.out)
        self.simulation.replace(secrets=secrets)
        self.simulation.ports = observe_ports(self.simulation.ports, self.log)
        self.cursors: list[str] = []

    def _plant_in_definitions(self) -> None:
        """Put the secret into an environment variable of every task definition that ECS has."""
        for registered in self.simulation.services._definitions.values():
            for container in registered["containerDefinitions"]:
                container["environment"] = [{"name": "API_TOKEN", "value": CANARY}]

    def run(self, given: dict[str, Any]) -> Rollback:
        rollback = self.simulation.admit(given)
        for _ in range(400):
            self.cursors.append(cursor_of(rollback).model_dump_json())
            if rollback.concluded_at is not None and not rollback.is_data_loss_report_due:
                return rollback
            rollback = self.simulation.run_due_step(rollback)
        raise AssertionError(f"the rollback never ended: {rollback}")

    def outputs(self) -> Iterator[tuple[str, str]]:
        """Yield each output of the product as text."""
        yield "log", self.out.getvalue()
        for sent in self.simulation.notifications.sent:
            yield "notification", f"{sent.subject} {sent.message} {json.dumps(sent.attributes)}"
        for rollback in self.simulation.ledger.history(self.simulation.service_settings.name):
            yield "document", rollback.model_dump_json()
            yield "report", message(rollback, self.simulation.service_settings)
        yield (
            "schemas",
            json.dumps(
                [schema.model_dump(mode="json") for schema in vars(self.simulation.ledger)["_schemas"].values()],
                default=str,
            ),
        )
        yield from (("cursor", cursor) for cursor in self.cursors)


def leaks(environment: Environment) -> list[str]:
    return [kind for kind, text in environment.outputs() if CANARY in text]


def test_a_full_rollback_shows_the_secret_nowhere() -> None:
    environment = Environment()
    ended = environment.run(FULL)
    assert ended.outcome is Outcome.SUCCEEDED, ended.reason
    assert environment.simulation.notifications.sent
    assert "decided" in environment.out.getvalue()
    assert leaks(environment) == []


class _QuotingPort:
    """Port, one method of which fails with an error of a library that quotes the secret."""

    def __init__(self, real: object, method: str) -> None:
        self._real, self._method = real, method

    def __getattr__(self, name: str) -> Any:
        if name != self._method:
            return getattr(self._real, name)

        def fail(*_: Any, **__: Any) -> Any:
            raise Unreachable(f"no session with {name}") from ValueError(f"password={CANARY}")

        return fail


DATABASE_METHODS = [
    (port, name)
    for port in ("neon", "sql", "services", "secrets", "notifications")
    for name, method in vars(AllPorts.__annotations__[port]).items()
    if hasattr(method, MARK)
]


@pytest.mark.parametrize(("port", "method"), DATABASE_METHODS)
def test_a_failing_call_whose_cause_quotes_the_secret_shows_it_nowhere(port: str, method: str) -> None:
    environment = Environment()
    simulation = environment.simulation
    simulation.replace(**{port: _QuotingPort(getattr(simulation.ports, port), method)})
    simulation.ports = observe_ports(simulation.ports, environment.log)
    try:
        rollback = simulation.admit(FULL)
        for _ in range(30):
            environment.cursors.append(cursor_of(rollback).model_dump_json())
            rollback = simulation.run_due_step(rollback)
    except RollbackError as error:
        environment.cursors.append(str(error))  # Step Functions keeps this text in its history
    assert leaks(environment) == []


def test_the_search_finds_a_planted_secret() -> None:
    environment = Environment()
    environment.log.write_change("sns.publish", {"message": CANARY}, 1, "")
    assert leaks(environment) == ["log"]
    assert {field.name for field in fields(AllPorts)} >= {port for port, _ in DATABASE_METHODS}
