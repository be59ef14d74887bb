"""Translate errors of AWS's SDK, naming the operation and its resource.

AWS's error code, and then the HTTP status, put an answer into one of three classes:

- *throttled*: AWS did nothing and asks for patience. The codes are those of botocore's `standard` retry mode, but for
  two. `LimitExceededException` is a quota in every API that the adapters call. `TransactionInProgressException` means
  that the first request is still being carried out (API references of ECS, ECR, Application Auto Scaling, Secrets
  Manager, DynamoDB).
- *transient*: the outcome is unknown, or the resource's present state prevents the change. A server's error (5xx, 503
  too) may come after the change was made. "Common errors" of each API reference call ServiceUnavailable a temporary
  failure of the server and say nothing about the change. Conflicts end by themselves: TransactionConflictException and
  ReplicatedWriteConflictException of DynamoDB, ConflictException of ECS ("conflict in the current state of the
  resource"), ConcurrentUpdateException of Application Auto Scaling.
- *refused*: any other 4xx, which AWS calls the client's fault. The same request is refused again.

`tests/contract/aws/test_failure_classes.py` checks every error of every called operation against these classes.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Any

from botocore import exceptions as sdk
from botocore.exceptions import BotoCoreError, ClientError

from rollback.errors import ExternalServiceError, RefusalKind, Throttled
from rollback.resources.aws import refusal as aws_refusal
from rollback.text import service_message

# IAM's prefix → operations. DynamoDB's transactions have no permission of their own; AWS names the missing one.
_OPERATIONS = {
    "ecs": "DescribeClusters DescribeServiceDeployments DescribeServiceRevisions DescribeServices "
    "DescribeTaskDefinition DescribeTasks ListServiceDeployments ListTasks RegisterTaskDefinition RunTask "
    "StopServiceDeployment StopTask UpdateService",
    "dynamodb": "BatchGetItem BatchWriteItem DeleteItem GetItem PutItem Query TransactGetItems TransactWriteItems "
    "UpdateItem",
    "states": "DescribeExecution SendTaskSuccess StartExecution StopExecution",
    "elasticloadbalancing": "DescribeListeners DescribeRules DescribeTargetGroups DescribeTargetHealth",
    "cloudwatch": "DescribeAlarmHistory DescribeAlarms GetMetricData ListAlarmMuteRules",
    "ecr": "BatchGetImage DescribeImages GetDownloadUrlForLayer PutImage",
    "lambda": "Invoke",
    "events": "PutEvents",
    "sns": "Publish",
    "application-autoscaling": "DescribeScalableTargets DescribeScalingPolicies RegisterScalableTarget",
    "cloudformation": "DescribeStacks ListStackResources",
    "secretsmanager": "DescribeSecret GetSecretValue PutSecretValue",
    "ssm": "DescribeParameters",
    "logs": "DescribeLogGroups GetLogEvents",
    "iam": "GetRole",
    "s3": "GetObject ListObjectsV2 PutObject",
    "kms": "Decrypt Encrypt",
    "sts": "GetCallerIdentity",
}
# Operations that change nothing: an answer that is missing leaves no effect to look for.
_READS = re.compile(r"(?:BatchGet|Describe|Get|List|Query|TransactGet)")
_PREFIX_OF = {operation: prefix for prefix, some in _OPERATIONS.items() for operation in some.split()}

_THROTTLED = frozenset(
    {
        "BandwidthLimitExceeded",
        "EC2ThrottledException",
        "ExecutionLimitExceeded",  # Step Functions: too many run at this moment
        "KMSThrottling",
        "KMSThrottlingException",
        "KmsThrottlingException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "Throttled",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
# ECS answers a ClientException when two callers register in a family at once. Some services throttle without a code.
_THROTTLED_IN_WORDS = re.compile(r"too many concurrent attempts|^rate exceeded", re.IGNORECASE)
_TRANSIENT_CODES = frozenset(
    {
        "ConcurrentModificationException",
        "ConcurrentUpdateException",
        "ConflictException",
        "DependencyTimeoutException",  # KMS
        "HealthUnavailable",
        "InternalError",
        "InternalErrorException",
        "InternalException",  # EventBridge
        "InternalFailure",
        "InternalServerError",
        "InternalServerException",
        "InternalServiceError",
        "InternalServiceException",
        "InternalServiceFault",
        "KMSInternalException",
        "KeyUnavailableException",  # KMS: "you can retry the request"
        "ServiceFailure",  # IAM's, with 500
        "OperationAbortedException",
        "PriorRequestNotComplete",
        "ReplicatedWriteConflictException",
        "RequestAborted",
        "RequestAbortedException",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServerException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "TransactionConflictException",
        "TransactionInProgressException",
        "UpdateInProgressException",
    }
)
_TRANSIENT_STATUS = frozenset({408, 409, 425})
_CREDENTIALS = frozenset(
    {
        "AuthFailure",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "IncompleteSignatureException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSecurity",
        "InvalidSignatureException",
        "InvalidToken",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "RequestExpired",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_NOT_SUBSCRIBED = frozenset({"OptInRequired", "KMSOptInRequired"})  # 403, but no policy of IAM mends it
_ACCESS = re.compile(r"AccessDenied|Authorization|Unauthorized|NotAuthorized|Forbidden")
_DENIED_IN_WORDS = re.compile(r"is not authorized to perform", re.IGNORECASE)
_NOT_FOUND = re.compile(r"NotFound|DoesNotExist|NotExist|NonExistent|UnknownException|NotActive|^NoSuch")
_QUOTA = re.compile(r"LimitExceeded|QuotaExceeded")
_TRANSIENT_CANCELLATIONS = frozenset(
    {"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded", "ConditionalCheckFailed"}
)

# Errors that the SDK raises before it sends a request, and that stay until an operator mends them.
_NO_CREDENTIALS = (
    sdk.LoginError,
    sdk.NoAuthTokenError,
    sdk.NoCredentialsError,
    sdk.PartialCredentialsError,
    sdk.ProfileNotFound,
    sdk.SSOError,
    sdk.TokenRetrievalError,
)
_WRONG_REQUEST = (
    sdk.BaseEndpointResolverError,
    sdk.InvalidRegionError,
    sdk.MissingParametersError,
    sdk.ParamValidationError,
    sdk.UnknownRegionError,
)


class TransientFailure(StrEnum):
    """Answers after which the same call may succeed."""

    THROTTLED = "throttled"  # nothing was done
    UNKNOWN = "unknown"  # the call may have taken effect: describe the resource first


@contextmanager
def aws_call(operation: str, on: str, transient: frozenset[str] = frozenset()) -> Iterator[None]:
    """Translate the errors of one call of the SDK.

    Args:
        operation: name of the operation in AWS's reference, `UpdateService`.
        on: the resource, which the error's text names.
        transient: codes with which this operation reports the resource's present state.

    Raises:
        Throttled: nothing was done; the same call may be sent again.
        CallRefused: this call did nothing, and a repeated call is refused again.
        ExternalServiceError: the outcome is unknown.
    """
    try:
        yield
    except ClientError as error:
        raise _translate_client_error(error, operation, on, transient) from error
    except BotoCoreError as error:
        raise _translate_sdk_error(error, operation, on) from error


def code_of(error: ClientError) -> str:
    """Return AWS's error code."""
    return str(error.response.get("Error", {}).get("Code", ""))


def is_denied(error: ClientError) -> bool:
    """Report whether AWS denies the caller access, which says nothing about the resource."""
    return classify(error) is RefusalKind.ACCESS


def absence(error: ClientError, *missing_codes: str) -> bool | None:
    """Return what the error of a look-up says about its resource: False for missing, None for not visible.

    Raises:
        ClientError: the error says something else.
    """
    if code_of(error) in missing_codes:
        return False
    if is_denied(error):
        return None
    raise error


def classify(error: ClientError) -> TransientFailure | RefusalKind:
    """Classify an answer by what the next attempt may expect."""
    code, message = code_of(error), str(error.response.get("Error", {}).get("Message", ""))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") or 0)
    if code in _THROTTLED or status == 429 or _THROTTLED_IN_WORDS.search(message):
        return TransientFailure.THROTTLED
    if code in _TRANSIENT_CODES or status >= 500 or status in _TRANSIENT_STATUS or _is_transient_cancellation(error):
        return TransientFailure.UNKNOWN
    kind = _refusal_kind(code, message, status)
    is_known = kind is not RefusalKind.REQUEST or 400 <= status < 500
    return kind if is_known else TransientFailure.UNKNOWN  # neither a known code nor a status


def _refusal_kind(code: str, message: str, status: int) -> RefusalKind:
    if code in _CREDENTIALS or status == 401:
        return RefusalKind.CREDENTIALS
    if code in _NOT_SUBSCRIBED:
        return RefusalKind.REQUEST
    if _ACCESS.search(code) or _DENIED_IN_WORDS.search(message) or status == 403:
        return RefusalKind.ACCESS
    if _NOT_FOUND.search(code) or status == 404:
        return RefusalKind.NOT_FOUND
    return RefusalKind.QUOTA if _QUOTA.search(code) else RefusalKind.REQUEST


def _is_transient_cancellation(error: ClientError) -> bool:
    """Report whether DynamoDB cancelled a transaction for a conflict or throttling, which end by themselves."""
    if code_of(error) != "TransactionCanceledException":
        return False
    reasons = {str(reason.get("Code")) for reason in error.response.get("CancellationReasons", [])} - {"None"}
    return not reasons or bool(reasons & _TRANSIENT_CANCELLATIONS)


def _translate_client_error(
    error: ClientError, operation: str, on: str, transient: frozenset[str]
) -> ExternalServiceError:
    details: Any = error.response.get("Error", {})
    code, message = str(details.get("Code", "?")), str(details.get("Message", error))
    answer = classify(error)
    text = service_message(f"{operation} on {on} failed: {code}: {message}")
    if answer is TransientFailure.THROTTLED:
        return Throttled(f"{text}; send it again later")
    of_the_caller = answer in (RefusalKind.ACCESS, RefusalKind.CREDENTIALS)
    if answer is TransientFailure.UNKNOWN or (code in transient and not of_the_caller):
        return ExternalServiceError(f"{text}; {_next_after_unknown(operation)}")
    return aws_refusal.refused(iam_action(operation), on, code, message, RefusalKind(answer))


def _translate_sdk_error(error: BotoCoreError, operation: str, on: str) -> ExternalServiceError:
    if isinstance(error, _NO_CREDENTIALS):
        kind = RefusalKind.CREDENTIALS
    elif isinstance(error, _WRONG_REQUEST):
        kind = RefusalKind.REQUEST
    else:
        return ExternalServiceError(
            f"{operation} on {on} got no answer: {service_message(str(error))}; {_next_after_unknown(operation)}"
        )
    name, on = type(error).__name__, str(on)  # the SDK may have refused the name because it is no text
    return aws_refusal.refused(iam_action(operation), on, name, str(error), kind, "AWS's SDK did not send")


def _next_after_unknown(operation: str) -> str:
    """Say what to do next after a call whose outcome is not known: only a change can have taken effect."""
    if _READS.match(operation):
        return "the call only reads: send it again later"
    return "check whether it took effect before sending it again"


def iam_action(operation: str) -> str:
    """Return the permission that an operation needs, `ecs:UpdateService`; an unknown operation is returned unchanged.

    Args:
        operation: name in AWS's reference, or name of the SDK's method (`get_item`).
    """
    name = operation if operation[:1].isupper() else "".join(part.title() for part in operation.split("_"))
    if name == "ListObjectsV2":  # the one operation whose permission has another name (Service Authorization Reference)
        return "s3:ListBucket"
    return f"{_PREFIX_OF[name]}:{name}" if name in _PREFIX_OF else operation
