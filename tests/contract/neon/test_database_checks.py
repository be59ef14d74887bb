"""Promises of the checks of a database: by an invocation of a function on the embedded cloud, and on the fake."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from contract.local_cloud.test_functions import archive, make_role
from contract.real_ports import real_ports
from fakes.database_checks import FakeDatabaseChecks

from local_cloud.deployment.server import LocalCloud
from rollback.check import Verdict
from rollback.domain.database.database_question import DatabaseQuestion
from rollback.errors import CallRefused, ExternalServiceError
from rollback.names import database_function
from rollback.ports.database_checks import DatabaseChecks

ALLOWED = {"Effect": "Allow", "Action": "logs:*", "Resource": "*"}
QUESTION = DatabaseQuestion(service="express-api", fingerprint="0" * 64, branch_id="br-1")
CODE = """
def handler(event, context):
    if event["step"] != "check_database":
        raise ValueError("another step")
    question = event["question"]
    match question["service"]:
        case "broken": raise RuntimeError("no session with the database")
        case "older": return {"done": []}
    reason = f"PostgreSQL on {question['branch_id']}"
    return {"checks": [{"name": "database-answers", "verdict": "pass", "reason": reason}]}
"""


@dataclass
class Function:
    """The database function's place in the cloud."""

    cloud: LocalCloud
    checks: DatabaseChecks


@pytest.fixture
def function(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[Function]:
    client, name = cloud.client("lambda"), database_function("macro-ai-production")
    client.create_function(
        FunctionName=name, Runtime="python3.13", Role=make_role(cloud, ALLOWED), Handler="index.handler",
        Code={"ZipFile": archive(CODE)}, Timeout=10,
    )  # fmt: skip
    yield Function(cloud, real_ports(cloud, monkeypatch).database_checks)
    client.delete_function(FunctionName=name)


def test_the_functions_checks_are_returned(function: Function) -> None:
    (check,) = function.checks.check_database(QUESTION)
    assert (check.name, check.verdict, check.reason) == ("database-answers", Verdict.PASS, "PostgreSQL on br-1")


def test_the_fake_returns_the_check_of_the_same_name() -> None:
    (check,) = FakeDatabaseChecks().check_database(QUESTION)
    assert (check.name, check.verdict) == ("database-answers", Verdict.PASS)


def test_an_error_of_the_function_is_an_error_of_the_call(function: Function) -> None:
    with pytest.raises(ExternalServiceError, match="no session with the database"):
        function.checks.check_database(QUESTION.model_copy(update={"service": "broken"}))


def test_an_answer_of_another_version_is_no_check(function: Function) -> None:
    with pytest.raises(ExternalServiceError, match="another shape of answer"):
        function.checks.check_database(QUESTION.model_copy(update={"service": "older"}))


def test_a_missing_function_is_refused(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CallRefused, match="Invoke"):
        real_ports(cloud, monkeypatch).database_checks.check_database(QUESTION)
