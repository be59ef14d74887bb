"""Each error of each called AWS operation has a class in the table. The models of botocore list the errors.

A new operation, or a new version of botocore, may bring errors that are not in the table. The test then fails until a
developer has classified them by their documentation.
"""

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore import exceptions as sdk
from botocore.exceptions import ClientError
from botocore.model import OperationModel
from botocore.session import get_session
from botocore.stub import Stubber

from rollback.adapters.aws.autoscaling import EcsScaling
from rollback.adapters.aws.ecs.client import EcsServices
from rollback.adapters.aws.errors import TransientFailure, aws_call, classify, iam_action
from rollback.domain.settings.environment import ServiceSettings
from rollback.errors import CallRefused, ExternalServiceError, RefusalKind, RollbackError, Throttled

ADAPTERS = Path(__file__).parents[3] / "lambdas" / "rollback" / "adapters"
# Without Lambda: after any failure of Invoke the database counts as not checked.
SERVICES = {
    "ecs": "ecs",
    "dynamodb": "dynamodb",
    "stepfunctions": "states",
    "elbv2": "elasticloadbalancing",
    "cloudwatch": "cloudwatch",
    "ecr": "ecr",
    "sns": "sns",
    "application-autoscaling": "application-autoscaling",
    "cloudformation": "cloudformation",
    "secretsmanager": "secretsmanager",
    "ssm": "ssm",
    "logs": "logs",
    "iam": "iam",
    "s3": "s3",
    "kms": "kms",
    "events": "events",
}
THROTTLED, UNKNOWN = TransientFailure.THROTTLED, TransientFailure.UNKNOWN
ACCESS, CREDENTIALS, NOT_FOUND = RefusalKind.ACCESS, RefusalKind.CREDENTIALS, RefusalKind.NOT_FOUND
QUOTA, REQUEST = RefusalKind.QUOTA, RefusalKind.REQUEST

# Every code that botocore's models give to the operations that we call.
TABLE: dict[str, TransientFailure | RefusalKind] = {
    "AccessDeniedException": ACCESS,
    "AuthorizationError": ACCESS,
    "BlockedException": REQUEST,
    "ClientException": REQUEST,
    "ClusterNotFoundException": NOT_FOUND,
    "ConcurrentUpdateException": UNKNOWN,
    "ConditionalCheckFailedException": REQUEST,  # the ledger reads it before
    "ConflictException": UNKNOWN,
    "DecryptionFailure": REQUEST,
    "DependencyTimeoutException": UNKNOWN,
    "DisabledException": REQUEST,
    "DryRunOperationException": REQUEST,
    "EncryptionFailure": REQUEST,
    "EncryptionTypeMismatch": REQUEST,
    "EndpointDisabled": REQUEST,
    "ExecutionAlreadyExists": REQUEST,  # the workflow takes it for success
    "ExecutionDoesNotExist": NOT_FOUND,
    "ExecutionLimitExceeded": THROTTLED,
    "FailedResourceAccessException": REQUEST,  # concerns a scaling policy's alarms, which the adapters don't read
    "HealthUnavailable": UNKNOWN,
    "IdempotentParameterMismatchException": REQUEST,
    "ImageAlreadyExistsException": REQUEST,  # read before
    "ImageDigestDoesNotMatchException": REQUEST,
    "ImageNotFoundException": NOT_FOUND,
    "ImageTagAlreadyExistsException": REQUEST,  # read before
    "IncorrectKeyException": REQUEST,
    "InternalError": UNKNOWN,
    "InternalException": UNKNOWN,
    "InternalServerError": UNKNOWN,
    "InternalServiceError": UNKNOWN,
    "InternalServiceException": UNKNOWN,
    "InvalidArn": REQUEST,
    "InvalidCiphertextException": REQUEST,
    "InvalidExecutionInput": REQUEST,
    "InvalidFilterKey": REQUEST,
    "InvalidFilterOption": REQUEST,
    "InvalidFilterValue": REQUEST,
    "InvalidGrantTokenException": REQUEST,
    "InvalidKeyUsageException": REQUEST,
    "InvalidName": REQUEST,
    "InvalidNextToken": REQUEST,
    "InvalidNextTokenException": REQUEST,
    "InvalidObjectState": ACCESS,  # an archived object, with 403; no report is archived
    "InvalidOutput": REQUEST,
    "InvalidParameter": REQUEST,
    "InvalidParameterException": REQUEST,
    "InvalidRequest": REQUEST,
    "InvalidRequestException": REQUEST,
    "InvalidSecurity": CREDENTIALS,
    "InvalidTarget": REQUEST,
    "InvalidToken": CREDENTIALS,  # a malformed task token; other services name credentials so
    "InvalidWriteOffset": REQUEST,
    "ItemCollectionSizeLimitExceededException": QUOTA,
    "KeyUnavailableException": UNKNOWN,
    "KMSAccessDenied": ACCESS,
    "KmsAccessDeniedException": ACCESS,
    "KMSDisabled": REQUEST,
    "KmsException": REQUEST,
    "KMSInternalException": UNKNOWN,
    "KMSInvalidState": REQUEST,
    "KmsInvalidStateException": REQUEST,
    "KMSInvalidStateException": REQUEST,
    "KMSNotFound": NOT_FOUND,
    "KMSOptInRequired": REQUEST,
    "KMSThrottling": THROTTLED,
    "KmsThrottlingException": THROTTLED,
    "LayerInaccessibleException": REQUEST,
    "LayersNotFoundException": NOT_FOUND,
    "LimitExceededException": QUOTA,
    "ListenerNotFound": NOT_FOUND,
    "LoadBalancerNotFound": NOT_FOUND,
    "NamespaceNotFoundException": NOT_FOUND,
    "NoSuchBucket": NOT_FOUND,
    "NoSuchEntity": NOT_FOUND,
    "NoSuchKey": NOT_FOUND,
    "NotFound": NOT_FOUND,
    "NotFoundException": NOT_FOUND,
    "ParameterValueInvalid": REQUEST,
    "PlatformApplicationDisabled": REQUEST,
    "PlatformTaskDefinitionIncompatibilityException": REQUEST,
    "PlatformUnknownException": NOT_FOUND,
    "ProvisionedThroughputExceededException": THROTTLED,
    "ReferencedImagesNotFoundException": NOT_FOUND,
    "ReplicatedWriteConflictException": UNKNOWN,
    "RepositoryNotFoundException": NOT_FOUND,
    "RequestLimitExceeded": THROTTLED,
    "ResourceExistsException": REQUEST,
    "ResourceNotFoundException": NOT_FOUND,
    "RuleNotFound": NOT_FOUND,
    "ServerException": UNKNOWN,
    "ServiceDeploymentNotFoundException": NOT_FOUND,  # StopServiceDeployment alone: see below
    "ServiceFailure": UNKNOWN,
    "ServiceNotActiveException": NOT_FOUND,
    "ServiceNotFoundException": NOT_FOUND,
    "ServiceUnavailableException": UNKNOWN,
    "StateMachineDeleting": REQUEST,
    "StateMachineDoesNotExist": NOT_FOUND,
    "TargetGroupNotFound": NOT_FOUND,
    "TaskDoesNotExist": NOT_FOUND,  # the workflow takes it for an execution that waits no longer
    "TaskTimedOut": REQUEST,  # as above
    "ThrottlingException": THROTTLED,
    "TooManyParts": REQUEST,
    "TransactionCanceledException": UNKNOWN,  # its reasons decide: see below
    "TransactionConflictException": UNKNOWN,
    "TransactionInProgressException": UNKNOWN,
    "UnableToGetUpstreamImageException": REQUEST,
    "UnableToGetUpstreamLayerException": REQUEST,
    "UnsupportedFeatureException": REQUEST,
    "UnsupportedProtocol": REQUEST,
    "ValidationException": REQUEST,
}
# Code and status of all services ("Common errors" of the API references, "Signature Version 4 troubleshooting").
COMMON: dict[tuple[str, int], TransientFailure | RefusalKind] = {
    ("AccessDenied", 403): ACCESS,
    ("ExpiredToken", 403): CREDENTIALS,
    ("ExpiredTokenException", 400): CREDENTIALS,
    ("IncompleteSignature", 400): CREDENTIALS,
    ("InternalFailure", 500): UNKNOWN,
    ("InvalidClientTokenId", 403): CREDENTIALS,
    ("InvalidSignatureException", 403): CREDENTIALS,
    ("MissingAuthenticationToken", 403): CREDENTIALS,
    ("NotAuthorized", 400): ACCESS,
    ("OptInRequired", 403): REQUEST,
    ("RequestAbortedException", 400): UNKNOWN,
    ("RequestExpired", 400): CREDENTIALS,
    ("RequestTimeout", 408): UNKNOWN,
    ("ServiceUnavailable", 503): UNKNOWN,
    ("SignatureDoesNotMatch", 403): CREDENTIALS,
    ("SlowDown", 503): THROTTLED,
    ("Throttling", 400): THROTTLED,
    ("ThrottlingException", 503): THROTTLED,
    ("UnauthorizedOperation", 403): ACCESS,
    ("UnrecognizedClientException", 400): CREDENTIALS,
    ("ValidationError", 400): REQUEST,
    ("AnythingNew", 400): REQUEST,
    ("AnythingNew", 401): CREDENTIALS,
    ("AnythingNew", 403): ACCESS,
    ("AnythingNew", 404): NOT_FOUND,
    ("AnythingNew", 408): UNKNOWN,
    ("AnythingNew", 409): UNKNOWN,
    ("AnythingNew", 429): THROTTLED,
    ("AnythingNew", 500): UNKNOWN,
    ("AnythingNew", 503): UNKNOWN,
    ("AnythingNew", 0): UNKNOWN,
    ("503", 503): UNKNOWN,  # botocore's code for an empty body
}


def models() -> dict[str, tuple[str, OperationModel]]:
    """The SDK's method → service and model, of all services that we call."""
    session, models_by_method = get_session(), {}
    for name in SERVICES:
        service = session.get_service_model(name)
        client = session.create_client(name, region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b")
        for method, operation in client.meta.method_to_api_mapping.items():
            assert method not in models_by_method or not is_called(method), f"{method} is an operation of two services"
            models_by_method[method] = (name, service.operation_model(operation))
    return models_by_method


def called() -> set[str]:
    """Names that the adapters ask of a client, or of a paginator; most are no operation."""
    names: set[str] = set()
    for file in ADAPTERS.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Attribute):
                names.add(node.attr)
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "get_paginator":
                names |= {str(arg.value) for arg in node.args if isinstance(arg, ast.Constant)}
    return names


def code_of(shape: Any) -> str:
    """Return the code of an error as the API sends it."""
    return str(shape.error_code or shape.name)


NAMES = called() - {"sign"}  # a method of a private key, not of KMS


def is_called(method: str) -> bool:
    return method in NAMES


OPERATIONS = {method: model for method, model in models().items() if is_called(method)}


def answer(code: str, status: int, message: str = "", **more: Any) -> ClientError:
    response = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}, **more}
    return ClientError(response, "UpdateService")  # type: ignore[arg-type]


def map_error(error: Exception, operation: str = "UpdateService", on: str = "c/s") -> ExternalServiceError:
    with pytest.raises(ExternalServiceError) as failure, aws_call(operation, on):
        raise error
    return failure.value


def test_the_list_of_operations_covers_all_adapters() -> None:
    """So that nothing below is asserted of an empty set."""
    assert {"update_service", "transact_write_items", "query", "publish", "get_secret_value"} <= set(OPERATIONS)
    assert {name for name, _ in OPERATIONS.values()} == set(SERVICES)


@pytest.mark.parametrize("method", sorted(OPERATIONS))
def test_each_error_of_each_operation_has_a_class_in_the_table(method: str) -> None:
    _, model = OPERATIONS[method]
    for shape in model.error_shapes:
        code = code_of(shape)
        status = shape.metadata.get("error", {}).get("httpStatusCode", 400)
        assert code in TABLE, f"{model.name} may answer {code}: {shape.documentation}"
        assert classify(answer(code, status)) is TABLE[code], code
        if shape.metadata.get("retryable") is not None:
            assert isinstance(TABLE[code], TransientFailure), f"AWS says that {code} may be sent again"


def test_the_table_has_only_codes_of_called_operations() -> None:
    codes = {code_of(shape) for _, model in OPERATIONS.values() for shape in model.error_shapes}
    assert set(TABLE) <= codes


@pytest.mark.parametrize("method", sorted(OPERATIONS))
def test_each_operation_maps_to_its_iam_permission(method: str) -> None:
    service, model = OPERATIONS[method]
    permission = {"ListObjectsV2": "ListBucket"}.get(model.name, model.name)
    assert iam_action(model.name) == f"{SERVICES[service]}:{permission}"
    assert iam_action(method) == iam_action(model.name)


@pytest.mark.parametrize(("code", "status"), COMMON)
def test_errors_common_to_all_services_are_classified_by_code_and_status(code: str, status: int) -> None:
    assert classify(answer(code, status)) is COMMON[code, status]


@pytest.mark.parametrize(
    "message", ["Rate exceeded", "Too many concurrent attempts to create a new revision of the family"]
)
def test_a_throttling_message_of_ecs_counts_as_throttling(message: str) -> None:
    assert isinstance(map_error(answer("ClientException", 400, message)), Throttled)


def test_the_errors_of_a_quota_and_a_bare_503_do_not_claim_that_nothing_changed() -> None:
    assert isinstance(map_error(answer("LimitExceededException", 400)), CallRefused)
    bare = map_error(answer("ServiceUnavailable", 503))
    assert type(bare) is ExternalServiceError
    assert "check whether it took effect before sending it again" in str(bare)


@pytest.mark.parametrize(
    ("reasons", "expected"),
    [
        (["None", "TransactionConflict"], UNKNOWN),
        (["ThrottlingError"], UNKNOWN),
        (["ValidationError", "None"], REQUEST),
        (["ItemCollectionSizeLimitExceeded"], REQUEST),
        ([], UNKNOWN),
    ],
)
def test_a_cancelled_transaction_is_classified_by_its_cancellation_reasons(
    reasons: list[str], expected: TransientFailure | RefusalKind
) -> None:
    cancelled = answer("TransactionCanceledException", 400, CancellationReasons=[{"Code": code} for code in reasons])
    assert classify(cancelled) is expected


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (sdk.NoCredentialsError(), CREDENTIALS),
        (sdk.PartialCredentialsError(provider="env", cred_var="secret"), CREDENTIALS),
        (sdk.UnauthorizedSSOTokenError(), CREDENTIALS),
        (sdk.TokenRetrievalError(provider="sso", error_msg="expired"), CREDENTIALS),
        (sdk.ProfileNotFound(profile="prod"), CREDENTIALS),
        (sdk.NoRegionError(), REQUEST),
        (sdk.ParamValidationError(report="cluster: 7 is no text"), REQUEST),
    ],
)
def test_a_request_that_the_sdk_rejects_fails_permanently(error: Exception, kind: RefusalKind) -> None:
    failure = map_error(error)
    assert isinstance(failure, CallRefused)
    assert (failure.kind, failure.action) == (kind, "ecs:UpdateService")
    assert str(failure).startswith("AWS's SDK did not send ecs:UpdateService on c/s (")


@pytest.mark.parametrize(
    "error",
    [
        sdk.ReadTimeoutError(endpoint_url="https://ecs"),
        sdk.ConnectTimeoutError(endpoint_url="https://ecs"),
        sdk.EndpointConnectionError(endpoint_url="https://ecs"),
        sdk.ConnectionClosedError(endpoint_url="https://ecs"),
        sdk.CredentialRetrievalError(provider="container-role", error_msg="no answer"),
    ],
)
def test_a_call_without_an_answer_has_an_unknown_outcome(error: Exception) -> None:
    assert type(map_error(error)) is ExternalServiceError


# Through the adapters, as botocore reads an answer

WEB = ServiceSettings(name="web", cluster="c", ecs_service="web", container="web")


def stubbed(service: str) -> Any:
    return boto3.client(service, region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b")  # type: ignore[call-overload]


def ecs_says(operation: str, code: str, message: str, call: Callable[[EcsServices], object]) -> RollbackError:
    client = stubbed("ecs")
    with Stubber(client) as stub:
        stub.add_client_error(operation, code, message, http_status_code=400)
        with pytest.raises(RollbackError) as failure:
            call(EcsServices(client, client))
    return failure.value


def test_a_denied_update_of_a_service_names_permission_and_service() -> None:
    arn = "arn:aws:ecs:eu-west-1:123456789012:service/c/web"
    message = (
        "User: arn:aws:sts::123456789012:assumed-role/rollback-service/rollback is not authorized to perform: "
        f"ecs:UpdateService on resource: {arn} because no identity-based policy allows the ecs:UpdateService action"
    )
    error = ecs_says("update_service", "AccessDeniedException", message, lambda ecs: ecs.update(WEB, desired_count=2))
    assert isinstance(error, CallRefused)
    assert (error.action, error.resource, error.kind) == ("ecs:UpdateService", arn, ACCESS)
    assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("ClientException", "TaskDefinition is inactive"),
        ("InvalidParameterException", "Unable to update"),
        ("ServiceNotFoundException", "Service not found."),
        ("ServiceNotActiveException", "Service was not ACTIVE."),
        ("ClusterNotFoundException", "Cluster not found."),
    ],
)
def test_an_update_that_ecs_refuses_fails_permanently(code: str, message: str) -> None:
    error = ecs_says("update_service", code, message, lambda ecs: ecs.update(WEB, definition_arn="web:1"))
    assert isinstance(error, CallRefused)
    assert message in str(error)


@pytest.mark.parametrize(
    ("code", "for_good"),
    [
        ("ConflictException", False),
        ("ClientException", False),
        ("InvalidParameterException", False),
        ("ServiceDeploymentNotFoundException", False),
        ("AccessDeniedException", True),
        ("UnsupportedFeatureException", True),
    ],
)
def test_a_deployment_that_can_not_be_stopped_now_is_retried(code: str, *, for_good: bool) -> None:
    """The deployment may end between the description and the call: ECS then refuses for its state."""
    arn = "arn:aws:ecs:eu-west-1:123456789012:service-deployment/c/web/1"
    error = ecs_says("stop_service_deployment", code, "it is stopped", lambda ecs: ecs.stop_deployment(arn))
    assert isinstance(error, CallRefused) is for_good


def test_a_concurrent_update_of_the_scaling_is_retried() -> None:
    client = stubbed("application-autoscaling")
    with Stubber(client) as stub:
        stub.add_client_error("describe_scalable_targets", "ConcurrentUpdateException", http_status_code=400)
        with pytest.raises(ExternalServiceError) as failure:
            EcsScaling(client, client).describe(WEB)
    assert not isinstance(failure.value, CallRefused)
