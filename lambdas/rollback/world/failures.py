"""Errors of AWS's SDK turned into ours: at each call, with the operation and what it was called on."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError

from rollback.model.errors import OutsideFailure, Throttled

# How AWS's services say "slow down" (botocore's `standard` retry mode knows the same codes).
_THROTTLING = frozenset(
    {
        "BandwidthLimitExceeded",
        "EC2ThrottledException",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)
_THROTTLING_STATUS = frozenset({429, 503})


@contextmanager
def calling(operation: str, on: str) -> Iterator[None]:
    """Around one call of the SDK.

    Args:
        operation: as AWS names it, `UpdateService`.
        on: the resource, for whoever reads the error.

    Raises:
        Throttled: nothing was done, the same call may be sent again.
        OutsideFailure: refused, or the outcome is unknown.
    """
    try:
        yield
    except ClientError as error:
        said = error.response.get("Error", {})
        text = f"{operation} on {on} failed: {said.get('Code', '?')}: {said.get('Message', error)}"
        if is_throttling(error):
            raise Throttled(f"{text}; send it again later") from error
        raise OutsideFailure(text) from error
    except BotoCoreError as error:
        raise OutsideFailure(f"{operation} on {on} got no answer: {error}; look before sending it again") from error


def code_of(error: ClientError) -> str:
    """AWS's error code."""
    return str(error.response.get("Error", {}).get("Code", ""))


def is_throttling(error: ClientError) -> bool:
    """Whether AWS asked to slow down, and did nothing."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return code_of(error) in _THROTTLING or status in _THROTTLING_STATUS
