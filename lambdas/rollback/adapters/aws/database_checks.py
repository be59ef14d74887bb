"""Checks of the database by an invocation of the database function, the only function with psycopg and the secrets.

The invocation is synchronous. The function changes nothing, so a lost answer needs no look-up.
"""

import json
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from rollback.adapters.aws.errors import aws_call
from rollback.check import Check
from rollback.domain.database.database_question import DatabaseQuestion
from rollback.errors import ExternalServiceError
from rollback.text import service_message

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

CHECK_DATABASE = "check_database"  # the payload's `step`


class InvokedDatabaseChecks:
    """Adapter. `function_name` is that of the environment's database function."""

    def __init__(self, client: "LambdaClient", function_name: str) -> None:
        self._client = client
        self._function_name = function_name

    def check_database(self, question: DatabaseQuestion) -> tuple[Check, ...]:
        """Call Invoke and wait for the answer.

        An error of the function itself comes with status 200 and `FunctionError` (Lambda API reference, Invoke:
        https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html).
        """
        payload = {"step": CHECK_DATABASE, "question": question.model_dump(mode="json")}
        with aws_call("Invoke", self._function_name):
            answer = self._client.invoke(FunctionName=self._function_name, Payload=json.dumps(payload).encode())
            body = answer["Payload"].read()
        if answer.get("FunctionError"):
            raise ExternalServiceError(f"{self._function_name} failed: {_error_of(body)}")
        try:
            return tuple(Check.model_validate(check) for check in json.loads(body)["checks"])
        except (ValueError, KeyError, TypeError, ValidationError) as error:
            raise ExternalServiceError(
                f"{self._function_name} gave another shape of answer ({type(error).__name__}); deploy the stack again"
            ) from error


def _error_of(body: bytes) -> str:
    """Return the error's text of the function; a timeout has a text too."""
    try:
        answer: Any = json.loads(body)
        return service_message(str(answer.get("errorMessage") or answer.get("errorType")))
    except (ValueError, AttributeError):
        return "it gave no reason"
