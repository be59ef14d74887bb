"""Reason of a failed execution in reports: one sentence, never JSON, never a stack trace."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as some
from simulations.service import alarm_event, start_simulation
from support.builders import SERVICE

from rollback import handlers
from rollback.resources.aws.execution_failure import ExecutionFailure
from rollback.workflow.route import Step

TRACE = ['  File "/var/task/rollback/handlers.py", line 30, in handled\n    return handler(event, context)\n']


def lambda_cause(kind: str, message: str) -> str:
    return json.dumps({"errorMessage": message, "errorType": kind, "requestId": "1-2", "stackTrace": TRACE})


@pytest.mark.parametrize(
    ("error", "cause", "expected_text"),
    [
        ("CallRefused", lambda_cause("CallRefused", "AWS refused it"), "AWS refused it"),
        (
            "ExternalServiceError",
            lambda_cause("ExternalServiceError", "no answer.\nLook again."),
            "no answer. Look again",
        ),
        ("KeyError", lambda_cause("KeyError", "'before'"), "KeyError: 'before'"),
        ("", lambda_cause("KeyError", "'before'"), "KeyError: 'before'"),
        ("Sandbox.Timedout", lambda_cause("Sandbox.Timedout", "Task timed out"), "Sandbox.Timedout: Task timed out"),
        ("States.Timeout", None, "States.Timeout: it did not end in time"),
        ("States.Timeout", "", "States.Timeout: it did not end in time"),
        ("", "stopped by Ada", "stopped by Ada"),
        (None, None, "no cause given"),
        ("X", "null", "X: no cause given"),
        ("X", '{"a": 1, "b": {"c": 2}, "d": "e"}', "X: a: 1; d: e"),
        ("X", '["one", {"two": 2}, 3]', "X: one; 3"),
        ("X", "7", "X: 7"),
        ("X", '"quoted"', "X: quoted"),
        ("X", '{"errorMessage": "it \\"broke\\"", "stackTrace": ["File', 'X: it "broke"'),
        ("X", '{"errorMessage": "cut off, in the mid', "X: cut off, in the mid"),
        ("X", "{'no': JSON}", "X: {'no': JSON}"),
        ("X", {"errorMessage": "parsed already"}, "X: parsed already"),
        ("X", "\x1b[31mred\x00\r\nsecond line", "X: \ufffd[31mred\ufffd second line"),
    ],
)
def test_an_execution_failure_is_described_in_words(error: object, cause: object, expected_text: str) -> None:
    assert ExecutionFailure.read(error, cause).text == expected_text


def test_the_name_of_an_execution_error_is_unchanged() -> None:
    assert ExecutionFailure.read("CallRefused", lambda_cause("CallRefused", "no")).error == "CallRefused"
    assert ExecutionFailure.read("", lambda_cause("InvalidRequest", "no")).error == "InvalidRequest"


def test_a_long_failure_text_is_truncated() -> None:
    assert len(ExecutionFailure.read("X", lambda_cause("X", "y" * 100_000)).text) < 1100


_JSON = some.recursive(
    some.none() | some.booleans() | some.integers() | some.text(),
    lambda inner: some.lists(inner) | some.dictionaries(some.text(), inner),
    max_leaves=8,
)


@given(error=some.none() | some.text(), cause=some.none() | some.text() | _JSON | _JSON.map(json.dumps))
def test_any_error_and_cause_become_one_line(error: object, cause: object) -> None:
    text = ExecutionFailure.read(error, cause).text
    assert text.isprintable()
    assert text


@pytest.mark.parametrize("deep", [5_000, 100_000])
def test_a_deeply_nested_cause_stays_text(deep: int) -> None:
    assert ExecutionFailure.read("X", "[" * deep).text.startswith("X: [[")


def page_about_internal_failure(monkeypatch: pytest.MonkeyPatch, *, by: str) -> str:
    """Return the page about a plan that fails because of a defect in our code."""
    simulation = start_simulation()
    rollback = simulation.admit(alarm_event())
    monkeypatch.setattr("rollback.functions.report._ports", lambda: simulation.ports)
    cause = lambda_cause("KeyError", "'before'")
    if by == "catch":
        cursor = {"rollback_id": rollback.id, "error": {"Error": "KeyError", "Cause": cause}}
        handlers.report({"step": "conclude", "cursor": cursor}, None)
    else:
        detail = {"status": "FAILED", "executionArn": rollback.execution, "error": "KeyError", "cause": cause}
        handlers.report({"detail-type": "Step Functions Execution Status Change", "detail": detail}, None)
    simulation.run_until(rollback, until=Step.DONE)
    assert simulation.ledger.lease(SERVICE) is None or by == "event"
    return simulation.pages()[0]


@pytest.mark.parametrize(
    ("by", "reason"),
    [("catch", "Why: KeyError: 'before'"), ("event", "Why: its execution ended as FAILED: KeyError: 'before'")],
)
def test_a_page_gives_the_reason_without_json_and_without_a_stack_trace(
    by: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = page_about_internal_failure(monkeypatch, by=by)
    assert reason in page.splitlines()
    assert not any(word in page for word in ("errorMessage", "stackTrace", "/var/task"))
