"""The answers by which AWS says that an object of the stack is gone: each is a failed check, not a look that failed."""

import pytest
from botocore.exceptions import ClientError

from rollback.adapters.aws.errors import aws_call
from rollback.errors import CallRefused
from rollback_cli.doctor.aws_api import is_gone

# Error codes of the API references, with the HTTP status where it differs from 400.
CODES = {
    "GetQueueUrl": ("AWS.SimpleQueueService.NonExistentQueue", 400),
    "DescribeStateMachine": ("StateMachineDoesNotExist", 400),
    "GetPolicy": ("ResourceNotFoundException", 404),
    "ListTargetsByRule": ("ResourceNotFoundException", 400),
    "ListSubscriptionsByTopic": ("NotFound", 404),
    "GetLifecyclePolicy": ("LifecyclePolicyNotFoundException", 400),
    "DescribeFileSystems": ("FileSystemNotFound", 404),
    "SimulatePrincipalPolicy": ("NoSuchEntity", 404),
    "DescribeTable": ("ResourceNotFoundException", 400),
}


@pytest.mark.parametrize("operation", CODES)
def test_the_code_of_an_absent_object_is_known(operation: str) -> None:
    code, status = CODES[operation]
    answer = {"Error": {"Code": code, "Message": "gone"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    with pytest.raises(CallRefused) as refused, aws_call(operation, "it"):
        raise ClientError(answer, operation)  # type: ignore[arg-type]
    assert is_gone(refused.value)
