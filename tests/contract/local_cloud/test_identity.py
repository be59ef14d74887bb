"""IAM of the embedded cloud: policies and permissions boundaries decide over every call of a role."""

import json
import uuid
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from local_cloud.deployment.server import LocalCloud
from local_cloud.iam import credentials, identity

TABLE = "arn:aws:dynamodb:eu-west-1:123456789012:table/ledger"
SERVICE = "arn:aws:ecs:eu-west-1:123456789012:service/prod/checkout"


def allow(action: str | list[str], resource: str = "*", **condition: Any) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Action": action, "Resource": resource}
    return statement | ({"Condition": condition} if condition else {})


def role(cloud: LocalCloud, *statements: dict[str, Any], **settings: Any) -> str:
    iam, name = cloud.client("iam"), f"caller-{uuid.uuid4().hex[:8]}"
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    arn: str = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust, **settings)["Role"]["Arn"]
    document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=document)
    return arn


def client(cloud: LocalCloud, service: str, *statements: dict[str, Any]) -> Any:
    return credentials.service_client(service, cloud.region, role(cloud, *statements))


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


@pytest.fixture(scope="module", autouse=True)
def _table(cloud: LocalCloud) -> Iterator[None]:
    dynamodb = cloud.client("dynamodb")
    for name in ("ledger", "other"):
        dynamodb.create_table(
            TableName=name,
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
    yield
    for name in ("ledger", "other"):
        dynamodb.delete_table(TableName=name)


def test_an_allowed_action_on_the_allowed_resource_passes(cloud: LocalCloud) -> None:
    dynamodb = client(cloud, "dynamodb", allow("dynamodb:PutItem", TABLE))
    assert dynamodb.put_item(TableName="ledger", Item={"pk": {"S": "a"}})["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_another_action_is_refused_with_awss_message(cloud: LocalCloud) -> None:
    dynamodb = client(cloud, "dynamodb", allow("dynamodb:GetItem", TABLE))
    with pytest.raises(ClientError, match=f"not authorized to perform: dynamodb:PutItem on resource: {TABLE}") as no:
        dynamodb.put_item(TableName="ledger", Item={"pk": {"S": "a"}})
    assert code(no) == "AccessDeniedException"


def test_another_resource_is_refused_and_recorded(cloud: LocalCloud) -> None:
    identity.forget_denials()
    dynamodb = client(cloud, "dynamodb", allow("dynamodb:*", TABLE))
    with pytest.raises(ClientError):
        dynamodb.get_item(TableName="other", Key={"pk": {"S": "a"}})
    (denial,) = identity.denials()
    assert (denial.action, denial.resource) == ("dynamodb:GetItem", TABLE.replace("ledger", "other"))


def test_a_deny_overrides_an_allow(cloud: LocalCloud) -> None:
    deny = {"Effect": "Deny", "Action": "dynamodb:DeleteItem", "Resource": "*"}
    dynamodb = client(cloud, "dynamodb", allow("*"), deny)
    dynamodb.get_item(TableName="ledger", Key={"pk": {"S": "a"}})
    with pytest.raises(ClientError):
        dynamodb.delete_item(TableName="ledger", Key={"pk": {"S": "a"}})


def test_each_item_of_a_transaction_needs_its_own_action(cloud: LocalCloud) -> None:
    put = {"Put": {"TableName": "ledger", "Item": {"pk": {"S": "t"}}}}
    check = {"ConditionCheck": {"TableName": "ledger", "Key": {"pk": {"S": "u"}},
                                "ConditionExpression": "attribute_not_exists(pk)"}}  # fmt: skip
    putter = client(cloud, "dynamodb", allow("dynamodb:PutItem", TABLE))
    putter.transact_write_items(TransactItems=[put])
    with pytest.raises(ClientError, match="dynamodb:ConditionCheckItem"):
        putter.transact_write_items(TransactItems=[put, check])
    both = client(cloud, "dynamodb", allow(["dynamodb:PutItem", "dynamodb:ConditionCheckItem"], TABLE))
    both.transact_write_items(TransactItems=[put, check])


def test_a_leading_keys_condition_limits_the_items_of_a_table(cloud: LocalCloud) -> None:
    condition = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["mine#*"]}}
    dynamodb = client(cloud, "dynamodb", allow("dynamodb:PutItem", TABLE, **condition))
    dynamodb.put_item(TableName="ledger", Item={"pk": {"S": "mine#1"}})
    with pytest.raises(ClientError):
        dynamodb.put_item(TableName="ledger", Item={"pk": {"S": "yours#1"}})


def test_a_service_update_needs_that_service(cloud: LocalCloud) -> None:
    ecs = client(cloud, "ecs", allow("ecs:UpdateService", SERVICE))
    with pytest.raises(ClientError) as unknown:
        ecs.update_service(cluster="prod", service="checkout")
    assert code(unknown) == "ClusterNotFoundException"  # IAM allows the call, and then ECS looks the cluster up
    with pytest.raises(ClientError) as error:
        ecs.update_service(cluster="prod", service="payments")
    assert code(error) == "AccessDeniedException"


def test_registering_a_task_definition_needs_to_pass_its_roles(cloud: LocalCloud) -> None:
    task_role = "arn:aws:iam::123456789012:role/task"
    definition = {"family": "passed", "containerDefinitions": [{"name": "app", "image": "app", "memory": 128}]}
    register = allow("ecs:RegisterTaskDefinition")
    with pytest.raises(ClientError, match="iam:PassRole on resource: " + task_role):
        client(cloud, "ecs", register).register_task_definition(**definition, taskRoleArn=task_role)
    to_tasks = {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}
    passer = client(cloud, "ecs", register, allow("iam:PassRole", task_role, **to_tasks))
    assert passer.register_task_definition(**definition, taskRoleArn=task_role)["taskDefinition"]["revision"] >= 1


@pytest.mark.parametrize(
    ("service", "method", "arguments", "expected"),
    [
        ("sns", "publish", {"TopicArn": "arn:aws:sns:eu-west-1:123456789012:t", "Message": "m"}, "AuthorizationError"),
        ("cloudwatch", "describe_alarms", {}, "AccessDenied"),
        ("logs", "describe_log_groups", {}, "AccessDeniedException"),
        ("lambda", "invoke", {"FunctionName": "f"}, "AccessDeniedException"),
        ("ecs", "list_clusters", {}, "AccessDeniedException"),
        ("elbv2", "describe_target_groups", {}, "AccessDenied"),
        ("ec2", "describe_vpcs", {}, "UnauthorizedOperation"),
        ("cloudformation", "describe_stacks", {}, "AccessDenied"),
        ("iam", "list_roles", {}, "AccessDenied"),
        ("s3", "list_objects_v2", {"Bucket": "b"}, "AccessDenied"),
        ("secretsmanager", "get_secret_value", {"SecretId": "s"}, "AccessDeniedException"),
    ],
)
def test_a_refusal_reaches_the_client_in_each_protocol(
    cloud: LocalCloud, service: str, method: str, arguments: dict[str, Any], expected: str
) -> None:
    with pytest.raises(ClientError) as error:
        getattr(client(cloud, service, allow("sqs:ListQueues")), method)(**arguments)
    assert code(error) == expected


ON_A_SERVICE = {"ServiceNamespace": "ecs", "ScalableDimension": "ecs:service:DesiredCount"}
EXECUTION = "arn:aws:states:eu-west-1:123456789012:execution:rollback:one"
SECRET = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-AbCdEf"


@pytest.mark.parametrize(
    ("service", "method", "arguments", "action", "resource"),
    [
        ("application-autoscaling", "describe_scalable_targets", ON_A_SERVICE, "DescribeScalableTargets", "*"),
        (
            "application-autoscaling", "register_scalable_target", {**ON_A_SERVICE, "ResourceId": "service/prod/shop"},
            "RegisterScalableTarget", "arn:aws:application-autoscaling:eu-west-1:123456789012:scalable-target/*",
        ),
        ("secretsmanager", "describe_secret", {"SecretId": SECRET}, "DescribeSecret", SECRET),
        ("ssm", "describe_parameters", {}, "DescribeParameters", "*"),
        ("stepfunctions", "stop_execution", {"executionArn": EXECUTION}, "StopExecution", EXECUTION),
        ("stepfunctions", "describe_execution", {"executionArn": EXECUTION}, "DescribeExecution", EXECUTION),
        (
            "ecs", "describe_clusters", {"clusters": ["prod"]},
            "DescribeClusters", "arn:aws:ecs:eu-west-1:123456789012:cluster/prod",
        ),
        (
            "cloudformation", "list_stack_resources", {"StackName": "shop"},
            "ListStackResources", "arn:aws:cloudformation:eu-west-1:123456789012:stack/shop/*",
        ),
        (
            "cloudformation", "describe_stacks", {"StackName": "shop"},
            "DescribeStacks", "arn:aws:cloudformation:eu-west-1:123456789012:stack/shop/*",
        ),
    ],
)  # fmt: skip
def test_each_read_of_a_rollback_needs_its_own_action_on_its_own_resource(
    cloud: LocalCloud, service: str, method: str, arguments: dict[str, Any], action: str, resource: str
) -> None:
    prefix = {"stepfunctions": "states"}.get(service, service)
    elsewhere = resource.replace("123456789012", "210987654321") if resource != "*" else None
    for statement in [allow("sqs:ListQueues"), *([allow(f"{prefix}:{action}", elsewhere)] if elsewhere else [])]:
        with pytest.raises(ClientError) as error:
            getattr(client(cloud, service, statement), method)(**arguments)
        assert code(error) in {"AccessDenied", "AccessDeniedException"}
    identity.forget_denials()
    with suppress(ClientError):  # IAM allows the call, and then ECS looks the cluster up
        getattr(client(cloud, service, allow(f"{prefix}:{action}", resource)), method)(**arguments)
    assert identity.denials() == []


def test_a_scaling_permission_can_be_limited_to_ecs_services(cloud: LocalCloud) -> None:
    only = {"application-autoscaling:service-namespace": "ecs"}
    register = allow("application-autoscaling:RegisterScalableTarget", StringEquals=only)
    scaling = client(cloud, "application-autoscaling", register)
    table = {"ServiceNamespace": "dynamodb", "ScalableDimension": "dynamodb:table:ReadCapacityUnits"}
    with pytest.raises(ClientError) as error:
        scaling.register_scalable_target(**table, ResourceId="table/t", MinCapacity=1, MaxCapacity=2)
    assert code(error) == "AccessDeniedException"


def test_a_role_may_not_make_a_call_that_no_table_maps(cloud: LocalCloud) -> None:
    with pytest.raises(ClientError, match="no IAM mapping for kinesis:ListStreams"):
        client(cloud, "kinesis", allow("*")).list_streams()


def test_an_unknown_key_is_refused(cloud: LocalCloud) -> None:
    stranger = boto3.client(
        "ecs", region_name=cloud.region, endpoint_url=cloud.endpoint,
        aws_access_key_id="ASIAUNKNOWN000000000", aws_secret_access_key="x", aws_session_token="x",
    )  # fmt: skip
    with pytest.raises(ClientError) as error:
        stranger.list_clusters()
    assert code(error) == "UnrecognizedClientException"


def test_a_permissions_boundary_limits_a_role(cloud: LocalCloud) -> None:
    document = json.dumps({"Version": "2012-10-17", "Statement": [allow("dynamodb:GetItem")]})
    boundary = cloud.client("iam").create_policy(PolicyName=f"b-{uuid.uuid4().hex[:8]}", PolicyDocument=document)
    arn = role(cloud, allow("*"), PermissionsBoundary=boundary["Policy"]["Arn"])
    dynamodb = credentials.service_client("dynamodb", cloud.region, arn)
    dynamodb.get_item(TableName="ledger", Key={"pk": {"S": "a"}})
    with pytest.raises(ClientError, match="no permissions boundary allows"):
        dynamodb.put_item(TableName="ledger", Item={"pk": {"S": "a"}})
