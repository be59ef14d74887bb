"""Lambda's entry points: Step Functions knows an error only by the class and text that leave them."""

from importlib import import_module
from typing import Any, cast

import pytest
from fakes.aws.step_functions import execution_arn
from simulations.database import BRANCH, DatabaseSimulation
from simulations.service import Simulation, alarm_event, start_simulation
from support.builders import NOW, SERVICE

from rollback import handlers
from rollback.adapters.aws.database_checks import CHECK_DATABASE
from rollback.errors import CallRefused, ExternalServiceError, InvalidRequest, RollbackError, Throttled
from rollback.names import INVALID_INPUT, SCHEDULER
from rollback.ports.all_ports import AllPorts
from rollback.workflow.step_runner import StepRunner
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

    monkeypatch.setattr(StepRunner, "run", fail)
    monkeypatch.setattr("rollback.functions.database._ports", lambda: cast("AllPorts", None))
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
    monkeypatch.setattr("rollback.functions.database._ports", lambda: simulation.ports)
    question = {"service": "express-api", "fingerprint": "0" * 64, "branch_id": BRANCH}
    answer = handlers.database({"step": CHECK_DATABASE, "question": question}, None)
    verdicts = {check["name"]: check["verdict"] for check in answer["checks"]}
    assert verdicts == {"database-answers": "pass", "migration-journal-fits": "warn"}


def start_by_step_functions(
    simulation: Simulation, given: object, monkeypatch: pytest.MonkeyPatch, step: str = "admit"
) -> dict[str, Any]:
    """Invoke the function of an entrance as the state machine does, for a running execution."""
    execution = execution_arn("typo")
    simulation.workflow.running.add(execution)
    for function in ("decide", "service", "report"):
        monkeypatch.setattr(f"rollback.functions.{function}._ports", lambda: simulation.ports)
    event = {"step": step, "input": given, "execution": execution, "started_at": NOW.isoformat()}
    return (handlers.decide if step == "admit" else handlers.service)(event, None)


@pytest.mark.parametrize(
    ("step", "given"),
    [
        ("admit", {"type": "servcie"}),
        ("admit", ["service"]),
        ("admit", {"target": "v1"}),
        ("admit", {"drill": True, "requested_by": "ada"}),
        ("emergency", {"type": "emergency", "service": "wroker"}),
    ],
)
def test_a_mistyped_input_of_an_operator_stops_its_execution_with_the_explanation(
    step: str, given: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulation, execution = start_simulation(), execution_arn("typo")
    answer = start_by_step_functions(simulation, given, monkeypatch, step)
    assert simulation.workflow.stopped == [execution]
    assert simulation.workflow.errors[execution] == "InvalidRequest"
    cause = simulation.workflow.causes[execution]
    assert "nothing was changed" in cause
    assert answer == {"next": INVALID_INPUT, "summary": cause}
    ended = {"executionArn": execution, "status": "ABORTED", "error": "InvalidRequest", "cause": cause}
    event = {"detail-type": "Step Functions Execution Status Change", "detail": ended}
    assert handlers.report(event, None) == {"done": []}
    assert simulation.pages() == []
    assert list(simulation.ledger.history(SERVICE)) == []


@pytest.mark.parametrize(
    "given",
    [
        {**alarm_event(), "detail": {"alarmName": "of-another-team", "state": {"value": "ALARM"}}},
        {"trigger": "health_check", "service": "wroker"},
        {"type": "full", "drill": True, "service": SERVICE, "requested_by": SCHEDULER},
    ],
    ids=["an event", "a pipeline", "a schedule"],
)
def test_an_unusable_input_that_no_operator_typed_fails_its_execution(
    given: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    simulation = start_simulation()
    with pytest.raises(InvalidRequest):
        start_by_step_functions(simulation, given, monkeypatch)
    assert simulation.workflow.stopped == []


def test_a_typo_whose_execution_can_not_be_stopped_ends_in_the_fail_state(monkeypatch: pytest.MonkeyPatch) -> None:
    simulation = start_simulation()

    def refuse(*_: object, **__: object) -> None:
        raise CallRefused("StopExecution: AccessDenied")

    simulation.workflow.stop = refuse  # type: ignore[method-assign]
    answer = start_by_step_functions(simulation, {"type": "servcie"}, monkeypatch)
    assert answer["next"] == INVALID_INPUT
    assert "did you mean 'service'?" in answer["summary"]


def test_an_error_of_aws_in_admit_is_no_typo(monkeypatch: pytest.MonkeyPatch) -> None:
    simulation = start_simulation()

    def refuse(*_: object, **__: object) -> None:
        raise ExternalServiceError("DynamoDB is away")

    simulation.ledger.create = refuse  # type: ignore[assignment, method-assign]
    with pytest.raises(ExternalServiceError):
        start_by_step_functions(simulation, {}, monkeypatch)
    assert simulation.workflow.stopped == []
