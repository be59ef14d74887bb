"""Which IAM actions a call of boto3 needs: AWS's prefix and operation, from botocore's models, and what is irregular.

Source of what is irregular: AWS Service Authorization Reference, the page of each service; for the parts of a
transaction "Using IAM with DynamoDB transactions" (DynamoDB developer guide).
"""

from collections.abc import Iterable
from functools import cache

import botocore.session
from botocore import xform_name

# IAM's prefix where it is not the name that requests are signed with.
_PREFIXES = {"monitoring": "cloudwatch"}
_IRREGULAR = {
    "s3:HeadObject": {"s3:GetObject"},
    "s3:HeadBucket": {"s3:ListBucket"},
    "s3:ListObjectsV2": {"s3:ListBucket"},
    "lambda:Invoke": {"lambda:InvokeFunction"},
    "dynamodb:BatchGetItem": {"dynamodb:BatchGetItem"},
    "dynamodb:TransactGetItems": {"dynamodb:GetItem"},
    "dynamodb:TransactWriteItems": set[str](),  # its parts need theirs
}
_OF_PARTS = {
    "Put": "dynamodb:PutItem",
    "Update": "dynamodb:UpdateItem",
    "Delete": "dynamodb:DeleteItem",
    "ConditionCheck": "dynamodb:ConditionCheckItem",
}
# What AWS asks of the caller besides the action itself: dependent actions of the reference.
BESIDES = {
    "ecs:RegisterTaskDefinition": {
        "iam:PassRole": "the definition names a task role and an execution role",
        "ecs:TagResource": "the definition is registered with a tag",
    },
    "ecs:RunTask": {"iam:PassRole": "the definition names a task role and an execution role"},
}


class NotAnOperation(Exception):
    """A client has no such method: the call graph read something wrong, or the code would fail."""


@cache
def _operations(service: str) -> tuple[str, dict[str, str]]:
    model = botocore.session.get_session().get_service_model(service)
    return str(model.signing_name), {xform_name(name): str(name) for name in model.operation_names}


def action_of(service: str, method: str) -> str:
    """IAM's prefix and the operation of one call, such as `ecs`, `describe_services`.

    Raises:
        NotAnOperation: the service has none of that name.
    """
    prefix, operations = _operations(service)
    if method not in operations:
        raise NotAnOperation(f"boto3's {service} has no {method}")
    return f"{_PREFIXES.get(prefix, prefix)}:{operations[method]}"


def actions_of(service: str, method: str) -> set[str]:
    """IAM actions that one call needs. Raises NotAnOperation: the service has none of that name."""
    action = action_of(service, method)
    return set(_IRREGULAR.get(action, {action}))


def actions_of_parts(parts: Iterable[str]) -> set[str]:
    """IAM actions of the parts of a DynamoDB transaction."""
    return {_OF_PARTS[part] for part in parts}
