"""AWS STS: sends requests that others have signed. The SDK only resolves the endpoint; it signs nothing here."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as xml  # noqa: N813 - a DOCTYPE is refused before the parser reads it

from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError
from botocore.exceptions import HTTPClientError as SdkHttpError
from botocore.httpsession import URLLib3Session

from rollback.adapters.aws.errors import aws_call
from rollback.domain.approval.identity import Identity
from rollback.domain.approval.identity_proof import BODY, METHOD, SignedRequest
from rollback.errors import CallRefused, ExternalServiceError, RefusalKind
from rollback.text import one_line

if TYPE_CHECKING:
    from mypy_boto3_sts import STSClient

_CONNECT_SECONDS, _READ_SECONDS = 1, 2
_MAX_ANSWER_BYTES, _MAX_ERROR_CHARACTERS = 8192, 300
_NAMESPACE = "{https://sts.amazonaws.com/doc/2011-06-15/}"  # namespace of the STS API's version
_ARN = re.compile(r"arn:[a-z0-9-]+:(?:iam|sts)::(?P<account>\d{12}):[\x21-\x7e]{1,512}", re.ASCII)


class StsIdentityProofs:
    """Adapter. A request has one attempt of three seconds, follows no redirect, and uses no proxy of the environment.

    Args:
        client: a client of STS in the deployment's region, for its endpoint.
        make_session: makes the HTTP session; botocore's verifies TLS certificates with its own list of authorities.
    """

    def __init__(self, client: "STSClient", make_session: Callable[..., Any] = URLLib3Session) -> None:
        self._client = client
        self._make_session = make_session

    def endpoint(self) -> str:
        """Return the endpoint of the SDK's client, without a slash at its end."""
        with aws_call("GetCallerIdentity", "AWS STS"):
            return str(self._client.meta.endpoint_url).rstrip("/")

    def region(self) -> str:
        """Return the region of the SDK's client."""
        with aws_call("GetCallerIdentity", "AWS STS"):
            return str(self._client.meta.region_name)

    def identify(self, request: SignedRequest) -> Identity:
        """Send the request: our URL, our body, and only the checked headers."""
        endpoint = self.endpoint()
        prepared = AWSRequest(
            method=METHOD, url=f"{endpoint}/", data=BODY.encode(), headers=dict(request.headers)
        ).prepare()
        session = self._make_session(timeout=(_CONNECT_SECONDS, _READ_SECONDS))
        try:
            answer = session.send(prepared)
            status, body = int(answer.status_code), bytes(answer.content)
        except (SdkHttpError, BotoCoreError, OSError) as error:
            raise ExternalServiceError(
                f"STS at {endpoint} gave no answer ({type(error).__name__}); the identity is not verified"
            ) from error
        finally:
            session.close()
        if status == 200:
            return read_answer(body)
        text = f"STS did not confirm the identity: status {status}, {_error_code(body)}"
        if 400 <= status < 500:
            raise CallRefused(text, action="sts:GetCallerIdentity", kind=RefusalKind.CREDENTIALS)
        raise ExternalServiceError(text)


def read_answer(body: bytes) -> Identity:
    """Parse STS's answer to GetCallerIdentity.

    Raises:
        ExternalServiceError: the answer has another form.
    """
    result = _parse(body).find(f"{_NAMESPACE}GetCallerIdentityResult")
    fields = {child.tag.removeprefix(_NAMESPACE): (child.text or "").strip() for child in result or ()}
    if result is None or len(result) != 3 or set(fields) != {"Arn", "UserId", "Account"}:
        raise _unusable("it has other members than Arn, UserId and Account")
    arn = _ARN.fullmatch(fields["Arn"])
    if arn is None or arn["account"] != fields["Account"]:
        raise _unusable("its Arn is no ARN of a principal in its Account")
    return Identity(arn=fields["Arn"], account=fields["Account"], user_id=fields["UserId"], is_verified=True)


def _parse(body: bytes) -> xml.Element:
    if len(body) > _MAX_ANSWER_BYTES or b"<!" in body:
        raise _unusable("it is too long, or has a document type")
    try:
        root = xml.fromstring(body.decode("utf-8", errors="strict"))  # noqa: S314 - without a DTD there are no entities
    except (xml.ParseError, UnicodeDecodeError, ValueError) as error:
        raise _unusable("it is no XML") from error
    if root.tag != f"{_NAMESPACE}GetCallerIdentityResponse":
        raise _unusable("it answers another action")
    return root


def _error_code(body: bytes) -> str:
    """Return the code in an error document of AWS's query protocol, for a person to read."""
    found = re.search(rb"<Code>([A-Za-z.]{1,80})</Code>", body[:_MAX_ANSWER_BYTES])
    return one_line(found[1].decode(), _MAX_ERROR_CHARACTERS) if found else "without an error code"


def _unusable(defect: str) -> ExternalServiceError:
    return ExternalServiceError(f"STS's answer can't be used: {defect}; the identity is not verified")
