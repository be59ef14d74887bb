"""Proof of identity: a signed request to AWS STS `GetCallerIdentity`, which the person signs and our function sends.

The signature covers a header with the purpose of the proof, so a proof serves one decision or one start only. Vault and
aws-iam-authenticator prove identities in this way. The rules here answer the attacks on them:

- another action, another host or a forged answer: https://googleprojectzero.blogspot.com/2020/10/enter-the-vault-auth-issues-hashicorp-vault.html
- a parameter that is sent twice: https://github.com/kubernetes-sigs/aws-iam-authenticator/issues/472

Nothing of the given request is sent but the values of listed headers: method, URL and body are our own constants.
The form of the signature: https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from rollback.canonical_json import sha256_of

PURPOSE_HEADER = "x-rollback-approval-nonce"
PROOF = "proof"  # member of an execution's input and of a decision
METHOD = "POST"
BODY = "Action=GetCallerIdentity&Version=2011-06-15"
CONTENT_TYPE = "application/x-www-form-urlencoded; charset=utf-8"
MAX_AGE = timedelta(seconds=60)  # STS itself accepts 15 minutes
MAX_AHEAD = timedelta(seconds=30)  # the clock of the person's computer may be wrong

_AUTHORIZATION, _DATE, _TOKEN = "authorization", "x-amz-date", "x-amz-security-token"
_REQUIRED = frozenset({_AUTHORIZATION, "host", "content-type", _DATE, PURPOSE_HEADER})
_ALLOWED = _REQUIRED | {_TOKEN}
_FIELDS = frozenset({"method", "url", "headers", "body"})
_MAX_TEXT, _MAX_TOKEN = 1024, 8192  # a session token has no documented limit; STS's own are below 4 KB
_SHOWABLE = re.compile(r"[\x21-\x7e]+(?: [\x21-\x7e]+)*")  # no control character, no blank at either end
_SIGNATURE = re.compile(
    r"AWS4-HMAC-SHA256 Credential=[A-Z0-9]{16,128}/(?P<date>\d{8})/(?P<region>[a-z0-9-]+)/sts/aws4_request, "
    r"SignedHeaders=(?P<signed>[a-z0-9;-]+), Signature=[0-9a-f]{64}",
    re.ASCII,
)
_TIME = re.compile(r"\d{8}T\d{6}Z", re.ASCII)


@dataclass(frozen=True)
class SignedRequest:
    """A signed request that may be sent to STS.

    Attributes:
        headers: values of the listed headers, by names in lower case.
    """

    headers: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True)
class Unproven:
    """A proof that does not count.

    Attributes:
        reason: what is wrong, without any value of the proof.
    """

    reason: str


def purpose_of_decision(rollback_id: str, nonce: str, kind: str, reason: str) -> str:
    """Return the purpose of a proof that goes with a decision.

    Args:
        rollback_id: the waiting rollback.
        nonce: random name of the gate, so that no other gate accepts the proof.
        kind: `approved` or `rejected`.
        reason: the person's reason.
    """
    return sha256_of({"purpose": "decide", "rollback": rollback_id, "nonce": nonce, "kind": kind, "reason": reason})


def purpose_of_start(execution_input: Mapping[str, object], execution: str) -> str:
    """Return the purpose of a proof that goes with the start of a rollback.

    Args:
        execution_input: fields of the request; a proof among them is left out.
        execution: ARN or id of the execution, whose last part is its unique name.
    """
    fields = without_proof(execution_input)
    return sha256_of({"purpose": "start", "execution": execution.rpartition(":")[2], "request": fields})


def without_proof(execution_input: Any) -> Any:
    """Return the fields of a start without its proof; what is no object is returned unchanged."""
    if not isinstance(execution_input, Mapping):
        return execution_input
    return {name: value for name, value in execution_input.items() if name != PROOF}


def check_proof(proof: object, endpoint: str, region: str, purpose: str, now: datetime) -> SignedRequest | Unproven:
    """Check a proof before it is sent to STS.

    Args:
        proof: decoded JSON from outside: `method`, `url`, `headers` and `body` of the signed request.
        endpoint: URL of the deployment's regional STS, from our own SDK.
        region: region of the deployment.
        purpose: expected value of the purpose header.
        now: when the proof arrived: the present time, or the start of the execution that carries it.
    """
    if not isinstance(proof, Mapping) or set(proof) != _FIELDS:
        return Unproven("the proof is not an object with exactly method, url, headers and body")
    if proof["method"] != METHOD:
        return Unproven(f"the signed request is no {METHOD} request")
    if proof["body"] != BODY:
        return Unproven("the signed request's body is not exactly that of GetCallerIdentity")
    if proof["url"] != f"{endpoint.rstrip('/')}/":
        return Unproven(f"the signed request is not for {endpoint}, the STS endpoint of this deployment's region")
    headers = _read_headers(proof["headers"])
    if isinstance(headers, Unproven):
        return headers
    expected = {"host": urlsplit(endpoint).netloc, "content-type": CONTENT_TYPE, PURPOSE_HEADER: purpose}
    for name, value in expected.items():
        if headers[name] != value:
            return Unproven(_explain_difference(name))
    return _check_signature(headers, region) or _check_age(headers[_DATE], now) or SignedRequest(headers)


def _read_headers(given: object) -> dict[str, str] | Unproven:
    if not isinstance(given, Mapping) or not 0 < len(given) <= len(_ALLOWED):
        return Unproven("the proof's headers are not an object with the headers of a signed request alone")
    headers: dict[str, str] = {}
    for name, value in given.items():
        if not isinstance(name, str) or name.lower() not in _ALLOWED or name.lower() in headers:
            return Unproven("the proof has a header that is not allowed, or has one twice")
        limit = _MAX_TOKEN if name.lower() == _TOKEN else _MAX_TEXT
        if not isinstance(value, str) or len(value) > limit or not _SHOWABLE.fullmatch(value):
            return Unproven(f"header {name.lower()} of the proof is too long, or has characters that are not allowed")
        headers[name.lower()] = value
    missing = sorted(_REQUIRED - headers.keys())
    return Unproven(f"the proof lacks the header {', '.join(missing)}") if missing else headers


def _explain_difference(name: str) -> str:
    if name == PURPOSE_HEADER:
        return "the proof was signed for another decision or another start"
    return f"header {name} of the proof is not the expected one"


def _check_signature(headers: Mapping[str, str], region: str) -> Unproven | None:
    match = _SIGNATURE.fullmatch(headers[_AUTHORIZATION])
    if match is None:
        return Unproven("the proof's authorization header is no signature (version 4) for STS")
    if match["region"] != region or match["date"] != headers[_DATE][:8]:
        return Unproven("the proof's signature is for another region or another day")
    if match["signed"].split(";") != sorted(headers.keys() - {_AUTHORIZATION}):
        return Unproven("the proof's signature does not cover each of its headers once")
    return None


def _check_age(text: str, now: datetime) -> Unproven | None:
    if not _TIME.fullmatch(text):
        return Unproven("the proof's x-amz-date is no time")
    try:
        signed_at = datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return Unproven("the proof's x-amz-date is no time")
    if now - signed_at > MAX_AGE:
        return Unproven(f"the proof is older than {MAX_AGE.total_seconds():g} s; sign it again")
    if signed_at - now > MAX_AHEAD:
        return Unproven("the proof was signed in the future; set the clock of the computer that signs")
    return None
