"""Signatures (version 4) of requests, checked as AWS STS checks them.

Form: https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html. The code is our own, not botocore's,
so that a test of a signer is no comparison with itself. Only GetCallerIdentity is checked: its answer is a proof.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from local_cloud.aws_requests import RefusedRequest

_VALID_FOR = timedelta(minutes=15)
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/(?P<scope>[^,]+), ?SignedHeaders=(?P<signed>[^,]+), "
    r"?Signature=(?P<signature>[0-9a-f]{64})"
)


def check_signature(
    method: str, path: str, query: str, headers: Mapping[str, str], body: bytes, secret_access_key: str
) -> None:
    """Check that a request was signed with a secret key, with each of its signed headers, in the last 15 minutes.

    Args:
        method: HTTP method.
        path: path of the URL.
        query: query of the URL, without its question mark; only an empty one is supported.
        headers: headers of the request.
        body: body of the request.
        secret_access_key: key of the caller.

    Raises:
        RefusedRequest: SignatureDoesNotMatch or IncompleteSignature.
    """
    given = {name.lower(): " ".join(value.split()) for name, value in headers.items()}
    match = _AUTHORIZATION.fullmatch(given.get("authorization", ""))
    signed = match["signed"].split(";") if match else []
    if match is None or query or "host" not in signed or any(name not in given for name in signed):
        raise RefusedRequest("IncompleteSignature", "The request signature does not conform to AWS standards.", 400)
    moment = given.get("x-amz-date", "")
    _check_date(moment, match["scope"])
    canonical = "\n".join(
        [method, path or "/", "", *(f"{name}:{given[name]}" for name in signed), "", ";".join(signed), _hash(body)]
    )
    to_sign = "\n".join(["AWS4-HMAC-SHA256", moment, match["scope"], _hash(canonical.encode())])
    key = f"AWS4{secret_access_key}".encode()
    for part in [*match["scope"].split("/"), to_sign]:
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    if not hmac.compare_digest(key.hex(), match["signature"]):
        raise RefusedRequest(
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided.",
            403,
        )


def _check_date(moment: str, scope: str) -> None:
    try:
        signed_at = datetime.strptime(moment, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise RefusedRequest("IncompleteSignature", "Date must be in ISO-8601 'basic format'.", 400) from error
    if not scope.startswith(f"{moment[:8]}/"):
        raise RefusedRequest("SignatureDoesNotMatch", "Date in Credential scope does not match X-Amz-Date.", 403)
    if abs(datetime.now(UTC) - signed_at) > _VALID_FOR:
        raise RefusedRequest("SignatureDoesNotMatch", f"Signature expired: {moment} is not within 15 minutes.", 403)


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
