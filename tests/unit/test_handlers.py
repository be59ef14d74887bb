"""Lambda's entry points: Step Functions knows an error only by the class and text that leave them."""

from importlib import import_module
from typing import Any, cast

import pytest
from simulations.database import BRANCH, DatabaseSimulation

from rollback import handlers
from rollback.adapters.aws.database_checks import CHECK_DATABASE
from rollback.errors import CallRefused, ExternalServiceError, InvalidRequest, RollbackError, Throttled
from rollback.ports.all_ports import AllPorts
from rollback_constructs.workflow import transient_retries

for _where in ("resources.database.errors", "adapters.neon.http"):  # so that their errors are among the subclasses
    import_module(f"rollback.{_where}")
RETRIED = {name for retry in transient_retries() for name in retry["ErrorEquals"] if retry["MaxAttempts"]}
NEVER_RETRIED = {name for retry in transient_retries() for name in retry["ErrorEquals"] if not retry["MaxAttempts"]}


def class_and_subclasses(error: type[Exception]) -> list[type[Exception]]:
    """List the class and all its subclasses, private ones too."""
    return [
        error,
        *(subclass for direct_subclass in error.__subclasses__() for subclass in class_and_subclasses(direct_subclass)),
    ]


def error_of_the_handler(error: Exception, monkeypatch: pytest.MonkeyPatch) -> Exception:
    def fail(*_: Any) -> Any:
        raise error

    monkeypatch.setattr(handlers, "run_step", fail)
    monkeypatch.setattr(handlers, "_ports", lambda: cast("AllPorts", None))
    with pytest.raises(RollbackError) as error_info:
        handlers.database({"step": "database", "cursor": {"rollback_id": "a-b-c"}}, None)
    return error_info.value


@pytest.mark.parametrize("kind", class_and_subclasses(ExternalServiceError), ids=lambda kind: kind.__name__)
def test_step_functions_retries_every_external_error_but_a_permanent_refusal_and_reads_its_class(
    kind: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    error = error_of_the_handler(kind("Neon is away"), monkeypatch)
    assert (type(error).__name__ in RETRIED) is not issubclass(kind, CallRefused)
    assert type(error).__name__ in (RETRIED | NEVER_RETRIED)
    assert isinstance(error, Throttled) == issubclass(kind, Throttled)
    assert "Neon is away" in str(error)
    assert kind.__name__ in f"{type(error).__name__}: {error}"


def test_step_functions_does_not_retry_an_invalid_request(monkeypatch: pytest.MonkeyPatch) -> None:
    assert type(error_of_the_handler(InvalidRequest("a typo"), monkeypatch)).__name__ not in RETRIED


def test_the_database_function_returns_checks_for_a_function_without_psycopg(monkeypatch: pytest.MonkeyPatch) -> None:
    simulation = DatabaseSimulation()
    monkeypatch.setattr(handlers, "_ports", lambda: simulation.ports)
    question = {"service": "express-api", "fingerprint": "0" * 64, "branch_id": BRANCH}
    answer = handlers.database({"step": CHECK_DATABASE, "question": question}, None)
    verdicts = {check["name"]: check["verdict"] for check in answer["checks"]}
    assert verdicts == {"database-answers": "pass", "migration-journal-fits": "warn"}
