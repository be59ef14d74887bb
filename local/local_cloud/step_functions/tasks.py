"""Calls of tasks: on the local endpoint, with the state machine's role, in the casing of AWS SDK integrations."""

import functools
import threading
from typing import Any

from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service import StateTaskService
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_aws_sdk import (
    StateTaskServiceAwsSdk,
)
from moto.stepfunctions.parser.asl.utils import boto_client

from local_cloud.iam import credentials
from local_cloud.moto_fixes.step_functions.rebind import rebind

_stock = boto_client.boto_client_for
_lock = threading.Lock()
_ERROR_PREFIXES = {"cloudwatch": "CloudWatch", "dynamodb": "DynamoDb", "ssm": "Ssm", "sts": "Sts"}
"""Prefixes of `aws-sdk` error names that are not the capitalized service name."""


def boto_client_for(region: str, service: str, state_credentials: Any = None) -> Any:
    """Return the client of a task.

    Args:
        region: of the client.
        service: boto3's name.
        state_credentials: the state machine's role, or the role of the state's Credentials field.
    """
    with _lock:
        return _client(credentials.endpoint(), region, service, getattr(state_credentials, "role_arn", None))


@functools.cache
def _client(_endpoint: str, region: str, service: str, role_arn: str | None) -> Any:
    return credentials.service_client(
        service,
        region,
        role_arn,
        parameter_validation=False,
        retries={"total_max_attempts": 1},
        connect_timeout=900,
        read_timeout=900,
    )


def forget_clients() -> None:
    """Forget cached clients, whose roles end with the cloud."""
    _client.cache_clear()


@functools.cache
def _service_model(service: str) -> Any:
    client = credentials.service_client(service, "us-east-1")
    return client.meta


def _operation(task: Any, service: str | None, action: str | None) -> Any:
    meta = _service_model(task._get_boto_service_name(service))
    return meta.service_model.operation_model(meta.method_to_api_mapping[task._get_boto_service_action(action)])


def _normalise_parameters(
    self: Any, parameters: Any, boto_service_name: str | None = None, service_action_name: str | None = None
) -> None:
    shape = _operation(self, boto_service_name, service_action_name).input_shape
    if shape is not None:
        self._to_boto_request(parameters, shape)


def _normalise_response(
    self: Any, response: Any, boto_service_name: str | None = None, service_action_name: str | None = None
) -> None:
    shape = _operation(self, boto_service_name, service_action_name).output_shape
    if shape is not None:
        self._from_boto_response(response, shape)


def _error_prefix(service_name: str) -> str:
    name = service_name.lower()
    return _ERROR_PREFIXES.get(name, name.capitalize())


def install() -> None:
    """Let the interpreter's tasks call the local endpoint. Repeated calls change nothing."""
    if boto_client.boto_client_for is _stock:
        rebind("boto_client_for", _stock, boto_client_for)
    StateTaskService._normalise_parameters = _normalise_parameters
    StateTaskService._normalise_response = _normalise_response
    StateTaskServiceAwsSdk._normalise_service_error_name = staticmethod(_error_prefix)
