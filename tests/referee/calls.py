"""Calls for two evaluators of IAM: policies, an action on a resource in a context, and AWS's decision.

Source is the IAM User Guide: "Policy evaluation logic", "IAM JSON policy elements: Condition operators", "Set
operators for multivalued context keys".
"""

from dataclasses import dataclass, field
from typing import Any

Document = dict[str, Any]
QUEUE = "arn:aws:sqs:eu-west-1:123456789012:orders"
TASK = "arn:aws:ecs:eu-west-1:123456789012:task/shop/1a2b"
CLUSTER = "arn:aws:ecs:eu-west-1:123456789012:cluster/shop"


@dataclass(frozen=True)
class Call:
    """Call, and whether AWS allows it."""

    allowed: bool
    statements: tuple[Document, ...]
    action: str = "sqs:SendMessage"
    resource: str = QUEUE
    context: dict[str, list[str]] = field(default_factory=dict)

    @property
    def policies(self) -> list[Document]:
        """The statements as one policy document."""
        return [{"Version": "2012-10-17", "Statement": list(self.statements)}]


def allow(action: Any = "sqs:SendMessage", resource: Any = QUEUE, **more: Any) -> Document:
    """Build a statement that allows."""
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: Any = "sqs:SendMessage", resource: Any = QUEUE, **more: Any) -> Document:
    """Build a statement that denies."""
    return {**allow(action, resource, **more), "Effect": "Deny"}


def _under_condition(
    allowed: bool, operator: str, required_value: Any, have: list[str] | None, key: str = "ecs:cluster"
) -> Call:
    """Build a call under one condition; `have` is the request's values, None if it has no such key."""
    return Call(
        allowed,
        (allow("ecs:ListTasks", "*", Condition={operator: {key: required_value}}),),
        "ecs:ListTasks",
        "*",
        {} if have is None else {key: have},
    )


STATEMENTS = {
    "the action and resource that are allowed": Call(True, (allow(),)),
    "another action": Call(False, (allow(),), "sqs:DeleteQueue"),
    "another resource": Call(False, (allow(),), resource=f"{QUEUE}-2"),
    "no statement": Call(False, ()),
    "the action in other letters": Call(True, (allow("SQS:sendmessage"),)),
    "the resource in other letters": Call(False, (allow(resource=QUEUE.upper()),)),
    "a star in the action": Call(True, (allow("sqs:Send*"),)),
    "a star in another service's action": Call(False, (allow("sns:*"),)),
    "a question mark in the action": Call(True, (allow("sqs:SendMessag?"),)),
    "all actions": Call(True, (allow("*"),)),
    "one of several actions": Call(True, (allow(["sqs:GetQueueUrl", "sqs:SendMessage"]),)),
    "one of several resources": Call(True, (allow(resource=[f"{QUEUE}-2", QUEUE]),)),
    "a star in the resource": Call(True, (allow(resource="arn:aws:sqs:*:123456789012:ord*"),)),
    "a star over colons and slashes": Call(True, (allow("ecs:StopTask", "arn:aws:ecs:*"),), "ecs:StopTask", TASK),
    "a question mark in the resource": Call(True, (allow(resource=QUEUE[:-1] + "?"),)),
    "a bracket in the resource is no pattern": Call(False, (allow(resource=QUEUE.replace("orders", "[o]rders")),)),
    "a denial after an allowance": Call(False, (allow(), deny())),
    "a denial before an allowance": Call(False, (deny(), allow())),
    "a denial of another resource": Call(True, (allow(), deny(resource=f"{QUEUE}-2"))),
    "a denial whose condition fails": Call(
        True, (allow(), deny(Condition={"StringEquals": {"aws:RequestedRegion": "us-east-1"}}))
    ),
    "all but an action": Call(True, ({"Effect": "Allow", "NotAction": "sqs:DeleteQueue", "Resource": QUEUE},)),
    "the action that is left out": Call(False, ({"Effect": "Allow", "NotAction": "sqs:Send*", "Resource": QUEUE},)),
    "all but a resource": Call(True, ({"Effect": "Allow", "Action": "sqs:*", "NotResource": f"{QUEUE}-2"},)),
    "the resource that is left out": Call(False, ({"Effect": "Allow", "Action": "sqs:*", "NotResource": QUEUE},)),
    "a call on no resource, allowed on one": Call(False, (allow("ecs:ListTasks", CLUSTER),), "ecs:ListTasks", "*"),
}
CONDITIONS = {
    "equal": _under_condition(True, "StringEquals", "a", ["a"]),
    "not equal": _under_condition(False, "StringEquals", "a", ["b"]),
    "equal to one of several": _under_condition(True, "StringEquals", ["a", "b"], ["b"]),
    "equal in other letters": _under_condition(False, "StringEquals", "a", ["A"]),
    "equal whatever the letters": _under_condition(True, "StringEqualsIgnoreCase", "a", ["A"]),
    "a star is a star in equal": _under_condition(False, "StringEquals", "a*", ["ab"]),
    "the key in other letters": Call(
        True,
        (allow("ecs:ListTasks", "*", Condition={"StringEquals": {"ECS:Cluster": "a"}}),),
        "ecs:ListTasks",
        "*",
        {"ecs:cluster": ["a"]},
    ),
    "without the key": _under_condition(False, "StringEquals", "a", None),
    "without the key, if it exists": _under_condition(True, "StringEqualsIfExists", "a", None),
    "with the key, if it exists": _under_condition(False, "StringEqualsIfExists", "a", ["b"]),
    "like": _under_condition(True, "StringLike", "a*", ["ab"]),
    "unlike": _under_condition(False, "StringLike", "a?", ["abc"]),
    "not equals": _under_condition(True, "StringNotEquals", "a", ["b"]),
    "not equals, but it is": _under_condition(False, "StringNotEquals", "a", ["a"]),
    "not equals to any of several": _under_condition(False, "StringNotEquals", ["a", "b"], ["b"]),
    "not equals without the key": _under_condition(True, "StringNotEquals", "a", None),
    "not like without the key": _under_condition(True, "StringNotLike", "a*", None),
    "an ARN": _under_condition(True, "ArnEquals", CLUSTER, [CLUSTER]),
    "another ARN": _under_condition(False, "ArnEquals", CLUSTER, [f"{CLUSTER}-2"]),
    "an ARN like": _under_condition(True, "ArnLike", "arn:aws:ecs:*:123456789012:cluster/*", [CLUSTER]),
    "a true": _under_condition(True, "Bool", "true", ["true"], "aws:SecureTransportSeen"),
    "a false": _under_condition(False, "Bool", "true", ["false"], "aws:SecureTransportSeen"),
    "a number": _under_condition(True, "NumericLessThanEquals", "60", ["60"], "sqs:age"),
    "too large a number": _under_condition(False, "NumericLessThan", "60", ["60"], "sqs:age"),
    "there is no key, and must not be": _under_condition(True, "Null", "true", None),
    "there is a key, and must not be": _under_condition(False, "Null", "true", ["a"]),
    "there is a key, and must be": _under_condition(True, "Null", "false", ["a"]),
    "all values of several": _under_condition(True, "ForAllValues:StringEquals", ["a", "b"], ["a", "b"]),
    "all values but one": _under_condition(False, "ForAllValues:StringEquals", ["a", "b"], ["a", "c"]),
    "all values of none": _under_condition(True, "ForAllValues:StringEquals", ["a"], None),
    "any value of several": _under_condition(True, "ForAnyValue:StringEquals", ["a"], ["c", "a"]),
    "any value of others": _under_condition(False, "ForAnyValue:StringEquals", ["a"], ["c", "d"]),
    "any value of none": _under_condition(False, "ForAnyValue:StringEquals", ["a"], None),
    "both of two keys": Call(
        False,
        (allow("ecs:ListTasks", "*", Condition={"StringEquals": {"ecs:cluster": "a", "ecs:service": "b"}}),),
        "ecs:ListTasks",
        "*",
        {"ecs:cluster": ["a"]},
    ),
    "both of two operators": Call(
        True,
        (allow("ecs:ListTasks", "*", Condition={"StringLike": {"ecs:cluster": "a*"}, "Null": {"ecs:x": "true"}}),),
        "ecs:ListTasks",
        "*",
        {"ecs:cluster": ["ab"]},
    ),
}
CALLS = STATEMENTS | CONDITIONS
