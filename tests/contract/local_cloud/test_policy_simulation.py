"""SimulatePrincipalPolicy of the embedded cloud decides as its enforcement does, and calls nothing."""

import json
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_cloud.deployment.server import LocalCloud

TABLE = "arn:aws:dynamodb:eu-west-1:123456789012:table/ledger"
TASK_ROLE = "arn:aws:iam::123456789012:role/task"


def statement(action: str, resource: str = "*", effect: str = "Allow", **condition: Any) -> dict[str, Any]:
    made = {"Effect": effect, "Action": action, "Resource": resource}
    return made | ({"Condition": condition} if condition else {})


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def role(cloud: LocalCloud, *statements: dict[str, Any], **settings: Any) -> str:
    iam, name = cloud.client("iam"), f"simulated-{uuid.uuid4().hex[:8]}"
    arn: str = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document(), **settings)["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=document(*statements))
    return arn


def decisions(
    cloud: LocalCloud, arn: str, *actions: str, resources: tuple[str, ...] = ("*",), **context: str
) -> dict[tuple[str, str], str]:
    entries = [
        {"ContextKeyName": key.replace("__", ":"), "ContextKeyValues": [value], "ContextKeyType": "string"}
        for key, value in context.items()
    ]
    pages = (
        cloud.client("iam")
        .get_paginator("simulate_principal_policy")
        .paginate(PolicySourceArn=arn, ActionNames=list(actions), ResourceArns=list(resources), ContextEntries=entries)
    )
    results = [result for page in pages for result in page["EvaluationResults"]]
    return {(result["EvalActionName"], result["EvalResourceName"]): result["EvalDecision"] for result in results}


def test_each_action_on_each_resource_has_a_decision(cloud: LocalCloud) -> None:
    arn = role(cloud, statement("dynamodb:GetItem", TABLE))
    other = TABLE.replace("ledger", "other")
    assert decisions(cloud, arn, "dynamodb:GetItem", "dynamodb:PutItem", resources=(TABLE, other)) == {
        ("dynamodb:GetItem", TABLE): "allowed",
        ("dynamodb:GetItem", other): "implicitDeny",
        ("dynamodb:PutItem", TABLE): "implicitDeny",
        ("dynamodb:PutItem", other): "implicitDeny",
    }


def test_a_statement_that_denies_decides(cloud: LocalCloud) -> None:
    arn = role(cloud, statement("dynamodb:*"), statement("dynamodb:PutItem", effect="Deny"))
    assert decisions(cloud, arn, "dynamodb:GetItem", "dynamodb:PutItem") == {
        ("dynamodb:GetItem", "*"): "allowed",
        ("dynamodb:PutItem", "*"): "explicitDeny",
    }


def test_a_condition_holds_for_the_given_keys_alone(cloud: LocalCloud) -> None:
    to_tasks = {"iam:PassedToService": "ecs-tasks.amazonaws.com"}
    arn = role(cloud, statement("iam:PassRole", TASK_ROLE, StringEquals=to_tasks))

    def pass_role(**context: str) -> str:
        return decisions(cloud, arn, "iam:PassRole", resources=(TASK_ROLE,), **context)["iam:PassRole", TASK_ROLE]

    assert pass_role() == "implicitDeny"
    assert pass_role(iam__PassedToService="ec2.amazonaws.com") == "implicitDeny"
    assert pass_role(iam__PassedToService="ecs-tasks.amazonaws.com") == "allowed"


def test_a_permissions_boundary_limits_the_role(cloud: LocalCloud) -> None:
    name = f"boundary-{uuid.uuid4().hex[:8]}"
    boundary = cloud.client("iam").create_policy(
        PolicyName=name, PolicyDocument=document(statement("dynamodb:GetItem"))
    )["Policy"]["Arn"]
    arn = role(cloud, statement("dynamodb:*"), PermissionsBoundary=boundary)
    assert decisions(cloud, arn, "dynamodb:GetItem", "dynamodb:PutItem") == {
        ("dynamodb:GetItem", "*"): "allowed",
        ("dynamodb:PutItem", "*"): "implicitDeny",
    }


def test_an_unknown_role_is_refused(cloud: LocalCloud) -> None:
    with pytest.raises(ClientError) as error:
        decisions(cloud, "arn:aws:iam::123456789012:role/nobody", "dynamodb:GetItem")
    assert error.value.response["Error"]["Code"] == "NoSuchEntity"
