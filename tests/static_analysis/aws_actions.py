"""IAM actions that a call of boto3 needs: prefix and operation from botocore's models, and the irregular ones.

Sources of the irregular ones: the AWS Service Authorization Reference, page of each service; for the parts of a
transaction "Using IAM with DynamoDB transactions" (DynamoDB developer guide).
"""

from collections.abc import Iterable
from functools import cache

import botocore.session
from botocore import xform_name

# IAM's prefix where it differs from the name that requests are signed with.
_PREFIXES = {"monitoring": "cloudwatch"}
_IRREGULAR = {
    "s3:HeadObject": {"s3:GetObject"},
    "s3:HeadBucket": {"s3:ListBucket"},
    "s3:ListObjectsV2": {"s3:ListBucket"},
    "lambda:Invoke": {"lambda:InvokeFunction"},
    "dynamodb:BatchGetItem": {"dynamodb:BatchGetItem"},
    "dynamodb:TransactGetItems": {"dynamodb:GetItem"},
    "dynamodb:TransactWriteItems": set[str](),  # IAM checks the parts of the transaction
}
_ACTIONS_OF_PARTS = {
    "Put": "dynamodb:PutItem",
    "Update": "dynamodb:UpdateItem",
    "Delete": "dynamodb:DeleteItem",
    "ConditionCheck": "dynamodb:ConditionCheckItem",
}
# Dependent actions of the reference, which AWS requires of the caller besides the action itself.
DEPENDENT_ACTIONS = {
    "ecs:RegisterTaskDefinition": {
        "iam:PassRole": "the definition names a task role and an execution role",
        "ecs:TagResource": "the definition is registered with a tag",
    },
    "ecs:RunTask": {"iam:PassRole": "the definition names a task role and an execution role"},
}


class NotAnOperation(Exception):
    """A boto3 client has no such method: the call graph misread the code, or the code would fail."""


@cache
def _operations(service: str) -> tuple[str, dict[str, str]]:
    model = botocore.session.get_session().get_service_model(service)
    return str(model.signing_name), {xform_name(name): str(name) for name in model.operation_names}


def action_of(service: str, method: str) -> str:
    """Return IAM's prefix and the operation of one call, such as `ecs`, `describe_services`.

    Raises:
        NotAnOperation: the service has no operation of that name.
    """
    prefix, operations = _operations(service)
    if method not in operations:
        raise NotAnOperation(f"boto3's {service} has no {method}")
    return f"{_PREFIXES.get(prefix, prefix)}:{operations[method]}"


def actions_of(service: str, method: str) -> set[str]:
    """Return the IAM actions that one call needs.

    Raises:
        NotAnOperation: the service has no operation of that name.
    """
    action = action_of(service, method)
    return set(_IRREGULAR.get(action, {action}))


def actions_of_parts(parts: Iterable[str]) -> set[str]:
    """Return the IAM actions of the parts of a DynamoDB transaction."""
    return {_ACTIONS_OF_PARTS[part] for part in parts}
