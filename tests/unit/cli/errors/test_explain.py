"""Explanations of errors that a process of a test can't cause."""

from pathlib import Path

import pytest
import typer
from botocore import exceptions as sdk
from pydantic import BaseModel, ValidationError

from rollback.adapters.aws.errors import aws_call
from rollback.errors import (
    CallRefused,
    Conflict,
    ExternalServiceError,
    InvalidRequest,
    LeaseLost,
    RefusalKind,
    RollbackError,
    Throttled,
    UnreadableItem,
)
from rollback_cli.errors.explain import explain
from rollback_cli.errors.split_message import split_message

WORDS = ["start", "production"]


class _Stored(BaseModel):
    count: int


def _not_valid() -> ValidationError:
    try:
        _Stored.model_validate({"count": "secret"})
    except ValidationError as error:
        return error
    raise AssertionError


@pytest.mark.parametrize(
    ("error", "what", "following", "code"),
    [
        (
            InvalidRequest("x is unknown; add --y; nothing was changed"),
            "x is unknown; nothing was changed",
            "add --y",
            2,
        ),
        (InvalidRequest("x is unknown; nothing was changed"), "x is unknown; nothing", "`rollback start --help`", 2),
        (Conflict("the ledger changed"), "the ledger changed", "run the command again", 1),
        (LeaseLost("another holds it"), "another holds it", "rollback status", 1),
        (UnreadableItem("A / B", "no id"), "ledger item A / B", "rollback status", 1),
        (Throttled("PutItem on t failed; send it again later"), "throttled: PutItem on t", "wait a minute", 1),
        (ExternalServiceError("Neon gave no answer"), "Neon gave no answer", "rollback history ENV", 1),
        (CallRefused("Neon refused x"), "Neon refused x", "correct what the service names", 1),
        (
            CallRefused("AWS refused a on b; add to the policy: {}", action="a", resource="b", kind=RefusalKind.ACCESS),
            "no permission for a on b",
            "add to the policy",
            1,
        ),
        (typer.Abort(), "nothing was started", "--yes", 1),
        (ModuleNotFoundError("no", name="local_cloud"), "local_cloud", "extra `local`", 1),
        (PermissionError(13, "Permission denied", "/x/y"), "/x/y can't be used: Permission denied", "check", 1),
        (_not_valid(), "_Stored.count", "the version of the command", 1),
        (KeyError("v9"), "internal error of `rollback start`: KeyError: 'v9'", "--debug", 1),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_an_error_is_explained_in_two_lines(error: BaseException, what: str, following: str, code: int) -> None:
    explanation = explain(error, WORDS)
    assert what in explanation.what
    assert following in explanation.next
    assert explanation.code == code
    assert "\n" not in explanation.what + explanation.next
    assert "secret" not in explanation.what


@pytest.mark.parametrize(
    "cause",
    [
        sdk.EndpointConnectionError(endpoint_url="https://ecs"),
        sdk.ConnectTimeoutError(endpoint_url="https://ecs"),
        sdk.ReadTimeoutError(endpoint_url="https://ecs"),
        sdk.ProxyConnectionError(proxy_url="http://proxy"),
        sdk.SSLError(endpoint_url="https://ecs", error=ValueError("certificate")),
    ],
    ids=lambda cause: type(cause).__name__,
)
def test_a_missing_connection_names_the_call_and_the_address(cause: sdk.BotoCoreError) -> None:
    with pytest.raises(RollbackError) as raised, aws_call("DescribeServices", "api"):
        raise cause
    explanation = explain(raised.value, WORDS)
    assert explanation.what.startswith("DescribeServices on api: there is no connection to AWS")
    assert "check the network, VPN, proxy and AWS_REGION" in explanation.next


def test_a_text_of_several_lines_and_control_characters_stays_in_two_lines(tmp_path: Path) -> None:
    explanation = explain(OSError(2, "No\nsuch\x1b[31m", str(tmp_path)), WORDS)
    assert "\n" not in explanation.what
    assert "\x1b" not in explanation.what


@pytest.mark.parametrize(
    ("text", "what", "remedy"),
    [
        ("a; b; run `rollback x`", "a; b", "run `rollback x`"),
        ("a; `rollback x` lists them; nothing was changed", "a; nothing was changed", "`rollback x` lists them"),
        ("a; b", "a; b", ""),
        ("a", "a", ""),
        ("a; nothing was changed", "a; nothing was changed", ""),
        ("x is not known; valid values: a; nothing was sent", "x is not known; nothing was sent", "valid values: a"),
    ],
)
def test_the_last_clause_is_the_remedy_if_it_says_what_to_do(text: str, what: str, remedy: str) -> None:
    assert split_message(text) == (what, remedy)
