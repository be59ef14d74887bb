"""A secret planted in every store is in no log line, report, message, ledger item or cursor, whatever fails."""

import io
import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import Any

import httpx
import pytest
from fakes.aws.secrets import FakeSecrets
from pydantic import SecretStr
from simulations.database import BRANCH, KEY, DatabaseSimulation

from rollback.adapters.neon.http import NeonHttp
from rollback.adapters.postgres.session import open_session
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
PARAMETER = "arn:aws:ssm:eu-west-1:123456789012:parameter/app/token"
FULL = {"type": "full", "target_version": "v1", "force": True}


class Environment:
    """An environment with a secret in each store, whose functions write a log."""

    def __init__(self) -> None:
        self.simulation = DatabaseSimulation(Policy(), connection_secret_arn=CONNECTION, probe_minutes=5)
        secrets = FakeSecrets()
        secrets.values = {
            KEY: SecretStr(CANARY),
            CONNECTION: SecretStr(f"postgresql://app:{CANARY}@host/neondb"),
            PARAMETER: SecretStr(CANARY),
        }
        self._plant_in_definitions()
        self.simulation.neon._logs[BRANCH].password = CANARY
        self.out = io.StringIO()
        self.log = InvocationLog(f"canary-{uuid.uuid4()}", self.out)
        self.simulation.replace(secrets=secrets)
        self.simulation.ports = observe_ports(self.simulation.ports, self.log)
        self.cursors: list[str] = []

    def _plant_in_definitions(self) -> None:
        """Put the secret into a variable and, by reference, a parameter of every task definition that ECS has."""
        for registered in self.simulation.services._definitions.values():
            for container in registered["containerDefinitions"]:
                container["environment"] = [{"name": "API_TOKEN", "value": CANARY}]
                container["secrets"] = [{"name": "API_KEY", "valueFrom": PARAMETER}]

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


class _FailingPort(_QuotingPort):
    """Port, one method of which fails with an error that a real adapter made."""

    def __init__(self, real: object, method: str, error: RollbackError) -> None:
        super().__init__(real, method)
        self._error = error

    def __getattr__(self, name: str) -> Any:
        return super().__getattr__(name) if name != self._method else self._fail

    def _fail(self, *_: Any, **__: Any) -> Any:
        raise self._error


def _refusal_by_neon(monkeypatch: pytest.MonkeyPatch) -> RollbackError:
    """Return the error of the real adapter for an answer that quotes the request's key."""

    def quote_key(_: object, request: httpx.Request) -> httpx.Response:
        return httpx.Response(401, json={"message": f"unknown key {request.headers['Authorization']}"})

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", quote_key)
    with pytest.raises(RollbackError, match="unknown key") as failure:
        NeonHttp(lambda: CANARY).change("POST", "/projects/p/branches")
    return failure.value


def _refusal_by_postgres(_: pytest.MonkeyPatch) -> RollbackError:
    """Return the error of the real adapter for an address whose password would pass for a host."""
    address = SecretStr(f"postgresql://app:not@{CANARY}@127.0.0.1:1/neondb")
    with pytest.raises(RollbackError) as failure, open_session(address):
        raise AssertionError("no session is opened")
    return failure.value


@pytest.mark.parametrize(
    ("port", "method", "make_error"),
    [
        (port, method, make_error)
        for port, method in DATABASE_METHODS
        for served_port, make_error in (("neon", _refusal_by_neon), ("sql", _refusal_by_postgres))
        if port == served_port
    ],
)
def test_an_error_of_an_adapter_whose_server_quotes_the_secret_shows_it_nowhere(
    port: str,
    method: str,
    make_error: Callable[[pytest.MonkeyPatch], RollbackError],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    environment = Environment()
    simulation = environment.simulation
    error = make_error(monkeypatch)
    simulation.replace(**{port: _FailingPort(getattr(simulation.ports, port), method, error)})
    simulation.ports = observe_ports(simulation.ports, environment.log)
    try:
        rollback = simulation.admit(FULL)
        for _ in range(30):
            environment.cursors.append(cursor_of(rollback).model_dump_json())
            rollback = simulation.run_due_step(rollback)
    except RollbackError as failure:
        environment.cursors.append(str(failure))
    assert leaks(environment) == []
    assert CANARY not in str(error)


def test_the_search_finds_a_planted_secret() -> None:
    environment = Environment()
    environment.log.write_change("sns.publish", {"message": CANARY}, 1, "")
    assert leaks(environment) == ["log"]
    assert {field.name for field in fields(AllPorts)} >= {port for port, _ in DATABASE_METHODS}
