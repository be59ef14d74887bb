"""Enforces IAM: every call of a role needs a policy of that role to allow it (moto checks actions only, wrongly).

Evaluated are the role's inline and attached policies and its permissions boundary, for each action, resource and
condition key of the call. Not evaluated: signatures, trust policies, resource policies, service control policies.
The administrator and the CDK's own roles pass. Changes `moto.core.responses.BaseResponse.call_action`.
"""

import json
import threading
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

from moto.core.authorization import ActionAuthenticatorMixin
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.responses import BaseResponse, determine_request_protocol
from moto.core.utils import get_service_model
from moto.iam.models import iam_backends
from moto.s3.exceptions import S3AccessDeniedError
from moto.sts.models import sts_backends

from local_cloud.iam import credentials
from local_cloud.iam.policies import UnsupportedCondition, allows
from local_cloud.iam.request import AuthorizedCall, PermissionCheck
from local_cloud.iam.resources import Unmapped, checks

_IAM_PREFIXES = {"monitoring": "cloudwatch"}
_SIMPLE_CODES = {"sns": "AuthorizationError", "ec2": "UnauthorizedOperation"}
_QUERY_SERVICES = {"iam", "sts", "cloudformation", "elasticloadbalancing", "cloudwatch", "sqs", "s3"}
_CDK_ROLES = "cdk-"
_stock_call = BaseResponse.call_action
_stock_s3 = ActionAuthenticatorMixin._authenticate_and_authorize_s3_action
_lock = threading.Lock()


@dataclass(frozen=True)
class Denial:
    """A call that was refused."""

    principal: str
    action: str
    resource: str


DENIALS: list[Denial] = []


class AccessDenied(Exception):
    """The call may not be made; `code` is AWS's error code, `status` the HTTP status."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


@dataclass(frozen=True)
class Caller:
    """The role behind a session."""

    role: Any  # moto's Role
    arn: str
    name: str


def install(enforce: bool = True) -> None:
    DENIALS.clear()
    BaseResponse.call_action = _call_action if enforce else _stock_call
    if enforce:
        ActionAuthenticatorMixin._authenticate_and_authorize_s3_action = _authorize_s3


def uninstall() -> None:
    BaseResponse.call_action = _stock_call
    ActionAuthenticatorMixin._authenticate_and_authorize_s3_action = _stock_s3


def denials() -> list[Denial]:
    """The calls refused since the cloud started, or since `forget_denials`."""
    with _lock:
        return list(DENIALS)


def forget_denials() -> None:
    with _lock:
        DENIALS.clear()


def _call_action(self: Any) -> Any:
    try:
        _authorize(self)
    except AccessDenied as refused:
        return refusal(self, refused)
    return _stock_call(self)


def refusal(response: Any, refused: AccessDenied) -> Any:
    """The error as the call's protocol writes it: moto's serializer knows only codes that the API's model lists."""
    model = get_service_model(response.boto3_service_name)
    protocol = determine_request_protocol(model, response.normalized_request.content_type)
    headers = {"status": str(refused.status), "x-amzn-errortype": refused.code, "Content-Type": "application/json"}
    if "cbor" in protocol:
        headers |= {"Content-Type": "application/cbor", "smithy-protocol": "rpc-v2-cbor"}
        return refused.status, headers, _cbor({"__type": refused.code, "message": str(refused)})
    if "json" in protocol:
        return refused.status, headers, json.dumps({"__type": refused.code, "message": str(refused)})
    headers["Content-Type"] = "text/xml"
    error = f"<Error><Type>Sender</Type><Code>{refused.code}</Code><Message>{escape(str(refused))}</Message></Error>"
    if protocol == "ec2":
        body = f"<Response><Errors>{error}</Errors><RequestID>local</RequestID></Response>"
    else:
        body = f"<ErrorResponse>{error}<RequestId>local</RequestId></ErrorResponse>"
    return refused.status, headers, body


def _cbor(texts: dict[str, str]) -> bytes:
    """A map of texts (RFC 8949): major type 5 with its count, then texts of major type 3 with 16-bit lengths."""
    encoded = bytes([0xA0 + len(texts)])
    for text in (text for pair in texts.items() for text in pair):
        content = text.encode()
        encoded += b"\x79" + len(content).to_bytes(2, "big") + content
    return encoded


def _caller(headers: Any, account: str) -> Caller | None:
    """The calling role; None for the administrator and for requests without a signature."""
    authorization = headers.get("Authorization", "")
    if "Credential=" not in authorization:
        return None
    key_id = authorization.split("Credential=", 1)[1].split("/", 1)[0]
    if key_id == credentials.ADMIN.access_key_id:
        return None
    session = sts_backends[account]["aws"].get_assumed_role_from_access_key(key_id)
    if session is None:
        raise AccessDenied("UnrecognizedClientException", "The security token included in the request is invalid.", 403)
    if headers.get("X-Amz-Security-Token") != session.session_token:
        raise AccessDenied("InvalidClientTokenId", "The security token included in the request is invalid.", 403)
    name = session.role_arn.rsplit("/", 1)[-1]
    if name.startswith(_CDK_ROLES):
        return None
    role = next((role for role in iam_backends[account]["aws"].roles.values() if role.name == name), None)
    arn = f"arn:aws:sts::{account}:assumed-role/{name}/{session.session_name}"
    if role is None:
        raise AccessDenied("AccessDeniedException", f"{arn} belongs to a role that does not exist", 403)
    return Caller(role, arn, name)


def _authorize(response: Any) -> None:
    caller = _caller(response.headers, response.current_account)
    operation = response._get_action()
    if caller is None or operation == "GetCallerIdentity":
        return
    signing_name = response.headers["Authorization"].split("Credential=", 1)[1].split("/")[3]
    service = _IAM_PREFIXES.get(signing_name, signing_name)
    request = AuthorizedCall(
        service, operation, _parameters(response, operation), response.current_account, response.region
    )
    try:
        needed = checks(request)
        for check in needed:
            _require(caller, check, request)
    except (Unmapped, UnsupportedCondition) as error:
        raise AccessDenied("LocalCloudCannotAuthorize", str(error), 501) from error


def _parameters(response: Any, operation: str) -> dict[str, Any]:
    """The call's parameters, named as in the API's model, whatever the protocol."""
    model = get_service_model(response.boto3_service_name)
    http = response.normalized_request
    protocol = determine_request_protocol(model, http.content_type)
    parser = PROTOCOL_PARSERS[protocol](model.operation_model(operation), map_type=dict)
    response._get_action_from_method_and_request_uri(http)  # finds the parameters that are in the path
    parsed: dict[str, Any] = parser.parse(
        {
            "method": http.method,
            "values": http.values,
            "headers": http.headers,
            "body": http.data,
            "url_path": http.path,
            "url_params": response.uri_match,
        }
    )
    return parsed


def _require(caller: Caller, check: PermissionCheck, request: AuthorizedCall) -> None:
    context = _context(caller, request) | {key.lower(): values for key, values in check.context.items()}
    documents, boundary = _documents(caller, request.account)
    permitted = allows(documents, check.action, check.resource, context)
    why = "no identity-based policy allows"
    if permitted and boundary is not None and not allows([boundary], check.action, check.resource, context):
        permitted, why = False, "no permissions boundary allows"
    if permitted:
        return
    with _lock:
        DENIALS.append(Denial(caller.arn, check.action, check.resource))
    code = _SIMPLE_CODES.get(request.service) or (
        "AccessDenied" if request.service in _QUERY_SERVICES else "AccessDeniedException"
    )
    raise AccessDenied(
        code,
        f"User: {caller.arn} is not authorized to perform: {check.action} on resource: {check.resource} "
        f"because {why} the {check.action} action",
        status=403 if request.service in _QUERY_SERVICES | {"lambda", "sns", "ec2", "scheduler", "xray"} else 400,
    )


def _context(caller: Caller, request: AuthorizedCall) -> dict[str, list[str]]:
    tags = request.parameters.get("tags") or request.parameters.get("Tags") or []
    pairs = tags.items() if isinstance(tags, dict) else [_pair(tag) for tag in tags]
    context = {f"aws:requesttag/{key}".lower(): [str(value)] for key, value in pairs}
    return context | {
        "aws:tagkeys": [str(key) for key, _ in pairs],
        "aws:requestedregion": [request.region],
        "aws:principalarn": [caller.role.arn],
        "aws:principalaccount": [request.account],
        "aws:resourceaccount": [request.account],
        "aws:securetransport": ["true"],
        "aws:viaawsservice": ["false"],
    }


def _pair(tag: dict[str, str]) -> tuple[str, str]:
    return tag.get("key") or tag.get("Key") or "", tag.get("value") or tag.get("Value") or ""


def _documents(caller: Caller, account: str) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    inline = list(caller.role.policies.values())
    attached = [_default_version(policy) for policy in caller.role.managed_policies.values()]
    boundary_arn = caller.role.permissions_boundary_arn
    boundary = iam_backends[account]["aws"].managed_policies.get(boundary_arn) if boundary_arn else None
    documents = [document if isinstance(document, dict) else json.loads(document) for document in inline + attached]
    return documents, json.loads(_default_version(boundary)) if boundary is not None else None


def _default_version(policy: Any) -> Any:
    return next(version.document for version in policy.versions if version.is_default)


def _authorize_s3(self: Any, bucket_name: str | None = None, key_name: str | None = None) -> None:
    try:
        caller = _caller(self.headers, self.current_account)
        if caller is None:
            return
        action = self._get_action() or self.data.get("Action") or "ListBucket"
        action = action[0] if isinstance(action, list) else action
        resource = "arn:aws:s3:::" + (f"{bucket_name or '*'}/{key_name}" if key_name else (bucket_name or "*"))
        request = AuthorizedCall("s3", action, {}, self.current_account, self.region)
        _require(caller, PermissionCheck(f"s3:{action}", resource), request)
    except AccessDenied as refused:
        raise S3AccessDeniedError from refused
