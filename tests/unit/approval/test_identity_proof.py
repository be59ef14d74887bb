"""A proof of identity counts only in its exact form: each known attack is refused before STS is asked."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fakes.identity import ENDPOINT, REGION, FakeIdentityProofs

from rollback.domain.approval.identity_proof import (
    MAX_AGE,
    MAX_AHEAD,
    PURPOSE_HEADER,
    SignedRequest,
    Unproven,
    check_proof,
    purpose_of_decision,
    purpose_of_start,
    without_proof,
)

SIGNED_AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ADA = "arn:aws:sts::123456789012:assumed-role/OnCall/ada"
PURPOSE = purpose_of_decision("web-1", "nonce", "approved", "the plan is right")


def proof() -> dict[str, Any]:
    return FakeIdentityProofs().sign(ADA, PURPOSE, "20260301T120000Z")


def check(given: object, *, now: datetime = SIGNED_AT, purpose: str = PURPOSE) -> SignedRequest | Unproven:
    return check_proof(given, ENDPOINT, REGION, purpose, now)


def reason(given: object, *, now: datetime = SIGNED_AT, purpose: str = PURPOSE) -> str:
    outcome = check(given, now=now, purpose=purpose)
    assert isinstance(outcome, Unproven), "the proof counts"
    return outcome.reason


def with_header(name: str, value: Any) -> dict[str, Any]:
    given = proof()
    return {**given, "headers": {**given["headers"], name: value}}


def without_header(name: str) -> dict[str, Any]:
    given = proof()
    return {**given, "headers": {key: value for key, value in given["headers"].items() if key != name}}


def with_authorization(change: Callable[[str], str]) -> dict[str, Any]:
    return with_header("Authorization", change(proof()["headers"]["Authorization"]))


def test_a_proof_in_its_exact_form_may_be_sent_with_its_listed_headers_alone() -> None:
    outcome = check(proof())

    assert isinstance(outcome, SignedRequest)
    assert set(outcome.headers) == {"authorization", "content-type", "host", "x-amz-date", PURPOSE_HEADER}


def test_a_session_token_must_be_signed_too() -> None:
    unsigned = with_header("X-Amz-Security-Token", "t" * 2000)
    assert "does not cover each of its headers" in reason(unsigned)
    authorization = unsigned["headers"]["Authorization"].replace("x-amz-date;", "x-amz-date;x-amz-security-token;")
    signed_names = ";".join(sorted(["content-type", "host", "x-amz-date", "x-amz-security-token", PURPOSE_HEADER]))
    start, _, end = authorization.partition("SignedHeaders=")
    unsigned["headers"]["Authorization"] = f"{start}SignedHeaders={signed_names}, {end.partition(', ')[2]}"
    assert isinstance(check(unsigned), SignedRequest)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"method": "GET"}, "no POST request"),
        ({"method": "post"}, "no POST request"),
        ({"body": "Action=GetSessionToken&Version=2011-06-15"}, "body is not exactly"),
        ({"body": "Action=GetCallerIdentity&Version=2011-06-15&Action=AssumeRole"}, "body is not exactly"),
        ({"body": ""}, "body is not exactly"),
        ({"url": f"{ENDPOINT}/?Action=AssumeRoleWithWebIdentity&Version=2011-06-15"}, "not for https://sts."),
        ({"url": f"{ENDPOINT}/?Action=GetCallerIdentity&Action=GetCallerIdentity"}, "not for https://sts."),
        ({"url": f"{ENDPOINT}/#"}, "not for https://sts."),
        ({"url": "http://sts.eu-west-1.amazonaws.com/"}, "not for https://sts."),
        ({"url": "https://sts.amazonaws.com/"}, "not for https://sts."),
        ({"url": "https://sts.us-east-1.amazonaws.com/"}, "not for https://sts."),
        ({"url": "https://sts.eu-west-1.amazonaws.com.evil.test/"}, "not for https://sts."),
        ({"url": "https://sts.eu-west-1.amazonaws.com@evil.test/"}, "not for https://sts."),
        ({"url": "https://sts.eu-west-1.amazonaws.com:8443/"}, "not for https://sts."),
        ({"url": None}, "not for https://sts."),
        ({"headers": {}}, "headers are not"),
        ({"headers": [["Host", "x"]]}, "headers are not"),
        ({"headers": {f"x-{number}": "y" for number in range(100)}}, "headers are not"),
        ({"extra": "field"}, "exactly method, url, headers and body"),
    ],
)
def test_another_action_method_host_or_shape_is_refused(change: dict[str, Any], expected: str) -> None:
    assert expected in reason({**proof(), **change})


@pytest.mark.parametrize(
    "name", ["Accept", "Content-Length", "Transfer-Encoding", "Connection", "X-Forwarded-Host", "Expect", "User-Agent"]
)
def test_a_header_outside_the_list_is_refused(name: str) -> None:
    assert "not allowed" in reason(with_header(name, "application/json"))


def test_a_header_in_two_spellings_is_refused() -> None:
    given = without_header("Content-Type")  # room for one more header
    given["headers"]["x-amz-date"] = given["headers"]["X-Amz-Date"]
    assert "twice" in reason(given)


@pytest.mark.parametrize(
    "value",
    [
        "sts.eu-west-1.amazonaws.com\r\nX-Evil: 1",
        "a\nb",
        "a\0b",
        " sts.eu-west-1.amazonaws.com",
        "ü",
        "a  b",
        "",
        7,
        None,
    ],
)
def test_a_value_that_could_smuggle_a_header_is_refused(value: object) -> None:
    assert "characters that are not allowed" in reason(with_header("Host", value))


def test_a_value_beyond_its_limit_is_refused() -> None:
    assert "too long" in reason(with_header("Host", "h" * 1025))
    assert "too long" in reason(with_header("X-Amz-Security-Token", "t" * 8193))


@pytest.mark.parametrize("name", ["Host", "Content-Type", "X-Amz-Date", PURPOSE_HEADER, "Authorization"])
def test_each_required_header_must_be_there(name: str) -> None:
    assert f"lacks the header {name.lower()}" in reason(without_header(name))


def test_another_host_in_the_header_is_refused() -> None:
    assert "header host of the proof" in reason(with_header("Host", "sts.us-east-1.amazonaws.com"))


def test_a_content_type_that_sts_may_read_otherwise_is_refused() -> None:
    assert "header content-type" in reason(with_header("Content-Type", "application/json"))


def test_a_proof_for_another_purpose_is_refused() -> None:
    assert "signed for another decision" in reason(proof(), purpose="0" * 64)


@pytest.mark.parametrize(
    "other",
    [
        purpose_of_decision("web-2", "nonce", "approved", "the plan is right"),
        purpose_of_decision("web-1", "another", "approved", "the plan is right"),
        purpose_of_decision("web-1", "nonce", "rejected", "the plan is right"),
        purpose_of_decision("web-1", "nonce", "approved", "another reason"),
        purpose_of_start({"type": "full"}, "cli-1"),
    ],
)
def test_a_proof_serves_one_decision_of_one_gate_with_one_reason(other: str) -> None:
    assert other != PURPOSE
    assert "signed for another decision" in reason(proof(), purpose=other)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"),
        lambda text: text.replace("/sts/", "/iam/"),
        lambda text: text.replace("aws4_request", "aws4_request/x"),
        lambda text: text[:-1],
        lambda text: f"{text}, Signature={'0' * 64}",
        lambda text: text.replace(", ", ","),
        lambda text: f"Basic {text}",
    ],
)
def test_an_authorization_in_another_form_is_refused(change: Callable[[str], str]) -> None:
    assert "no signature (version 4) for STS" in reason(with_authorization(change))


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("/eu-west-1/", "/us-east-1/"),
        lambda text: text.replace("/20260301/", "/20260228/"),
    ],
)
def test_a_signature_of_another_region_or_day_is_refused(change: Callable[[str], str]) -> None:
    assert "another region or another day" in reason(with_authorization(change))


@pytest.mark.parametrize("name", ["host;", "x-amz-date;", f";{PURPOSE_HEADER}", "content-type;"])
def test_each_header_must_be_signed(name: str) -> None:
    unsigned = with_authorization(lambda text: text.replace(name, "", 1))
    assert "does not cover each of its headers" in reason(unsigned)


def test_a_header_that_is_signed_twice_is_refused() -> None:
    assert "does not cover" in reason(with_authorization(lambda text: text.replace("host;", "host;host;")))


def test_a_proof_is_valid_for_sixty_seconds() -> None:
    assert isinstance(check(proof(), now=SIGNED_AT + MAX_AGE), SignedRequest)
    assert "older than 60 s" in reason(proof(), now=SIGNED_AT + MAX_AGE + timedelta(seconds=1))


def test_a_clock_may_be_ahead_by_half_a_minute() -> None:
    assert isinstance(check(proof(), now=SIGNED_AT - MAX_AHEAD), SignedRequest)
    assert "in the future" in reason(proof(), now=SIGNED_AT - MAX_AHEAD - timedelta(seconds=1))


@pytest.mark.parametrize("text", ["20260301", "20261301T120000Z", "20260301T120000Z0", "2026-03-01T12:00:00Z"])
def test_a_date_in_another_form_is_refused(text: str) -> None:
    assert reason(with_header("X-Amz-Date", text))


@pytest.mark.parametrize("given", [None, [], "proof", 7, {}])
def test_what_is_no_proof_is_refused(given: object) -> None:
    assert "not an object with exactly" in reason(given)


def test_no_reason_repeats_a_value_of_the_proof() -> None:
    secret = "very-secret-session-token"
    given = with_header("X-Amz-Security-Token", secret)
    assert secret not in reason(given)
    assert secret not in repr(check({**given, "method": "GET"}))
    counted = check(proof())
    assert "Signature" not in repr(counted)


def test_the_purpose_of_a_start_names_its_execution_and_its_request_but_not_its_proof() -> None:
    request = {"type": "full", "reason": "bad"}
    arn = "arn:aws:states:eu-west-1:123456789012:execution:macro-ai-production-rollback:cli-1"
    purpose = purpose_of_start(request, "cli-1")

    assert purpose_of_start({**request, "proof": {"a": 1}}, arn) == purpose
    assert purpose_of_start(request, f"{arn}2") != purpose
    assert purpose_of_start({**request, "force": True}, arn) != purpose
    assert without_proof("no object") == "no object"
