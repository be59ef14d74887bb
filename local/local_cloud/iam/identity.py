"""Enforcement of IAM: a role makes a call only if a policy of that role allows it.

The role's inline and attached policies and its permissions boundary are evaluated for each action, resource and
condition key of the call. The signature of GetCallerIdentity is checked, other signatures are not. Neither are trust
policies, resource policies and service control policies.
The administrator and the CDK's own roles pass. Changes `moto.core.responses.BaseResponse.call_action`.
"""

import threading
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from moto.core.authorization import ActionAuthenticatorMixin
from moto.core.responses import BaseResponse
from moto.iam.models import iam_backends
from moto.s3.exceptions import S3AccessDeniedError
from moto.sts.models import sts_backends

from local_cloud.aws_requests import RefusedRequest, error_answer, parameters_of
from local_cloud.iam import credentials, simulation
from local_cloud.iam.policies import UnsupportedCondition, allows
from local_cloud.iam.request import AuthorizedCall, PermissionCheck
from local_cloud.iam.resources import Unmapped, permission_checks
from local_cloud.iam.role_policies import documents_of
from local_cloud.iam.signatures import check_signature

_IAM_PREFIXES = {"monitoring": "cloudwatch"}
_SIMPLE_CODES = {"sns": "AuthorizationError", "ec2": "UnauthorizedOperation"}
_QUERY_SERVICES = {"iam", "sts", "cloudformation", "elasticloadbalancing", "cloudwatch", "sqs", "s3"}
_CDK_ROLES = "cdk-"
_stock_call = BaseResponse.call_action
_stock_s3 = ActionAuthenticatorMixin._authenticate_and_authorize_s3_action
_lock = threading.Lock()


@dataclass(frozen=True)
class Denial:
    """A call that IAM refused."""

    principal: str
    action: str
    resource: str


DENIALS: list[Denial] = []


@dataclass(frozen=True)
class Caller:
    """The role that signed a call, with the ARN of its session."""

    role: Any  # moto's Role
    arn: str
    name: str


def install(enforce: bool = True) -> None:
    """Authorize every call from now on; with `enforce` False, let every call pass."""
    DENIALS.clear()
    simulation.install()
    BaseResponse.call_action = _call_action if enforce else _stock_call
    if enforce:
        ActionAuthenticatorMixin._authenticate_and_authorize_s3_action = _authorize_s3


def uninstall() -> None:
    """Let moto answer every call without authorization."""
    BaseResponse.call_action = _stock_call
    ActionAuthenticatorMixin._authenticate_and_authorize_s3_action = _stock_s3


def denials() -> list[Denial]:
    """Return the calls refused since the cloud started, or since `forget_denials`."""
    with _lock:
        return list(DENIALS)


def forget_denials() -> None:
    """Empty the list of refused calls."""
    with _lock:
        DENIALS.clear()


def _call_action(self: Any) -> Any:
    try:
        _authorize(self)
    except RefusedRequest as refused:
        return error_answer(self, refused)
    return _stock_call(self)


def _caller(headers: Any, account: str) -> Caller | None:
    """Return the calling role; None for the administrator and for requests without a signature."""
    authorization = headers.get("Authorization", "")
    if "Credential=" not in authorization:
        return None
    key_id = authorization.split("Credential=", 1)[1].split("/", 1)[0]
    if key_id == credentials.ADMIN.access_key_id:
        return None
    session = sts_backends[account]["aws"].get_assumed_role_from_access_key(key_id)
    if session is None:
        raise RefusedRequest(
            "UnrecognizedClientException", "The security token included in the request is invalid.", 403
        )
    if headers.get("X-Amz-Security-Token") != session.session_token:
        raise RefusedRequest("InvalidClientTokenId", "The security token included in the request is invalid.", 403)
    name = session.role_arn.rsplit("/", 1)[-1]
    if name.startswith(_CDK_ROLES):
        return None
    role = next((role for role in iam_backends[account]["aws"].roles.values() if role.name == name), None)
    arn = f"arn:aws:sts::{account}:assumed-role/{name}/{session.session_name}"
    if role is None:
        raise RefusedRequest("AccessDeniedException", f"{arn} belongs to a role that does not exist", 403)
    return Caller(role, arn, name)


def _authorize(response: Any) -> None:
    caller = _caller(response.headers, response.current_account)
    operation = response._get_action()
    if operation == "GetCallerIdentity":
        _check_signature(response)
        return
    if caller is None:
        return
    signing_name = response.headers["Authorization"].split("Credential=", 1)[1].split("/")[3]
    service = _IAM_PREFIXES.get(signing_name, signing_name)
    request = AuthorizedCall(
        service, operation, parameters_of(response, operation), response.current_account, response.region
    )
    try:
        for check in permission_checks(request):
            _require(caller, check, request)
    except (Unmapped, UnsupportedCondition) as error:
        raise RefusedRequest("LocalCloudCannotAuthorize", str(error), 501) from error


def _check_signature(response: Any) -> None:
    """Check the signature of GetCallerIdentity, whose answer others take as a proof of identity."""
    authorization = response.headers.get("Authorization", "")
    if "Credential=" not in authorization:
        raise RefusedRequest("MissingAuthenticationToken", "Request is missing Authentication Token", 403)
    key_id = authorization.split("Credential=", 1)[1].split("/", 1)[0]
    session = sts_backends[response.current_account]["aws"].get_assumed_role_from_access_key(key_id)
    secret = credentials.ADMIN.secret_access_key if session is None else session.secret_access_key
    request = response.normalized_request
    url = urlsplit(request.url)
    # Werkzeug has read a form's body, and keeps its fields in their order.
    body = request.data or urlencode(list(request.form.items(multi=True))).encode()
    check_signature(request.method, url.path, url.query, dict(response.headers), body, secret)


def _require(caller: Caller, check: PermissionCheck, request: AuthorizedCall) -> None:
    context = _context(caller, request) | {key.lower(): values for key, values in check.context.items()}
    documents, boundary = documents_of(caller.role, request.account)
    permitted = allows(documents, check.action, check.resource, context)
    reason = "no identity-based policy allows"
    if permitted and boundary is not None and not allows([boundary], check.action, check.resource, context):
        permitted, reason = False, "no permissions boundary allows"
    if permitted:
        return
    with _lock:
        DENIALS.append(Denial(caller.arn, check.action, check.resource))
    code = _SIMPLE_CODES.get(request.service) or (
        "AccessDenied" if request.service in _QUERY_SERVICES else "AccessDeniedException"
    )
    raise RefusedRequest(
        code,
        f"User: {caller.arn} is not authorized to perform: {check.action} on resource: {check.resource} "
        f"because {reason} the {check.action} action",
        status=403 if request.service in _QUERY_SERVICES | {"lambda", "sns", "ec2", "scheduler", "xray"} else 400,
    )


def _context(caller: Caller, request: AuthorizedCall) -> dict[str, list[str]]:
    tags = request.parameters.get("tags") or request.parameters.get("Tags") or []
    pairs = tags.items() if isinstance(tags, dict) else [_key_and_value(tag) for tag in tags]
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


def _key_and_value(tag: dict[str, str]) -> tuple[str, str]:
    return tag.get("key") or tag.get("Key") or "", tag.get("value") or tag.get("Value") or ""


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
    except RefusedRequest as refused:
        raise S3AccessDeniedError from refused
