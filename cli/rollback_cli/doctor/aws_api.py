"""Reading calls to AWS that no port of the product has: the doctor alone looks at rules, roles and topics.

Each call names the service, the operation as in AWS's reference, and its parameters. So a test can answer any call.
"""

import threading
from collections.abc import Mapping
from typing import Any, Protocol

import boto3
from botocore import xform_name
from botocore.config import Config

from rollback.adapters.aws.errors import aws_call
from rollback.errors import CallRefused, RefusalKind

Answer = Mapping[str, Any]

# IAM's prefix differs from the SDK's name of the service (Service Authorization Reference).
_PREFIX = {"stepfunctions": "states", "elbv2": "elasticloadbalancing", "efs": "elasticfilesystem"}
_CONFIG = Config(connect_timeout=5, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 6})


class AwsApi(Protocol):
    """AWS's API, for calls that read."""

    @property
    def region(self) -> str:
        """Region of the calls."""
        ...

    def call(self, service: str, operation: str, **parameters: Any) -> Answer:
        """Call an operation once.

        Args:
            service: name of the service in the SDK, such as `events`.
            operation: name in AWS's reference, such as `DescribeRule`.
            **parameters: parameters of the operation.

        Raises:
            CallRefused: AWS refuses the call; its action names the permission.
            ExternalServiceError: AWS did not answer.
        """
        ...

    def items(self, service: str, operation: str, member: str, **parameters: Any) -> list[Any]:
        """Return the items of a list from all its pages. Arguments and errors as for `call`."""
        ...


class BotoApi:
    """AWS's API by boto3, with the operator's credentials."""

    def __init__(self, session: boto3.Session | None = None) -> None:
        self._session = session or boto3.Session()
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()  # a session is not thread-safe when it makes clients

    @property
    def region(self) -> str:
        """Region of the calls."""
        return str(self._session.region_name)

    def call(self, service: str, operation: str, **parameters: Any) -> Answer:
        """Call an operation once."""
        with aws_call(operation, _subject(parameters)):
            answer: Answer = getattr(self._client(service), xform_name(operation))(**parameters)
            return answer

    def items(self, service: str, operation: str, member: str, **parameters: Any) -> list[Any]:
        """Return the items of a list from all its pages."""
        with aws_call(operation, _subject(parameters)):
            pages = self._client(service).get_paginator(xform_name(operation)).paginate(**parameters)
            return [item for page in pages for item in page.get(member, ())]

    def _client(self, service: str) -> Any:
        with self._lock:
            if service not in self._clients:
                self._clients[service] = self._session.client(service, config=_CONFIG)  # type: ignore[call-overload]
            return self._clients[service]


def is_gone(refused: CallRefused) -> bool:
    """Report whether AWS refused a call because its object does not exist."""
    return refused.kind is RefusalKind.NOT_FOUND


def permission_of(service: str, operation: str) -> str:
    """Return the permission that an operation needs, `events:DescribeRule`."""
    return f"{_PREFIX.get(service, service)}:{operation}"


def _subject(parameters: Mapping[str, Any]) -> str:
    """Name the object of a call for an error: the first parameter that is a text."""
    return next((value for value in parameters.values() if isinstance(value, str)), "the account")
