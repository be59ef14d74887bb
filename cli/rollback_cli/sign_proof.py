"""Sign a proof of identity: a request to AWS STS that our function sends, and that STS answers with the signer's ARN.

The proof has no secret key. Its signature is valid for one purpose, for a minute.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError, NoCredentialsError

from rollback.adapters.aws.errors import aws_call
from rollback.domain.approval.identity_proof import (
    BODY,
    CONTENT_TYPE,
    METHOD,
    PROOF,
    PURPOSE_HEADER,
    purpose_of_start,
)
from rollback.errors import ExternalServiceError
from rollback_cli.shell.aws_session import AwsSession

if TYPE_CHECKING:
    import boto3


def sign_proof(purpose: str, session: "boto3.Session | AwsSession | None" = None) -> dict[str, Any]:
    """Sign a proof for one purpose, with the credentials of a session.

    Raises:
        CallRefused: there are no credentials.
    """
    session = session or AwsSession()
    with aws_call("GetCallerIdentity", "AWS STS"):
        client = session.client("sts")
        credentials = session.get_credentials()
        if credentials is None:
            raise NoCredentialsError
        url = f"{client.meta.endpoint_url.rstrip('/')}/"
        headers = {"Host": urlsplit(url).netloc, "Content-Type": CONTENT_TYPE, PURPOSE_HEADER: purpose}
        request = AWSRequest(method=METHOD, url=url, data=BODY, headers=headers)
        SigV4Auth(credentials.get_frozen_credentials(), "sts", client.meta.region_name).add_auth(request)
    return {"method": METHOD, "url": url, "headers": dict(request.headers.items()), "body": BODY}


def with_proof(execution_input: Mapping[str, Any], execution: str) -> dict[str, Any]:
    """Add a proof of the operator's identity to the input of a start; without credentials the input stays as it is.

    Args:
        execution_input: fields of the request.
        execution: ARN, id or unique name of the execution.
    """
    try:
        return {**execution_input, PROOF: sign_proof(purpose_of_start(execution_input, execution))}
    except (BotoCoreError, ExternalServiceError):  # a start must not depend on STS: its requester is then unverified
        return dict(execution_input)
