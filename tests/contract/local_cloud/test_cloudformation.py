"""CloudFormation of the embedded cloud: our resource types in moto's repaired engine."""

import json
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_cloud.deployment.server import LocalCloud
from local_cloud.faults.busy_stack import busy
from local_cloud.listing import list_all

ALARM = {
    "Type": "AWS::CloudWatch::Alarm",
    "Properties": {"Namespace": "N", "MetricName": "M", "Statistic": "Sum", "Period": 60, "EvaluationPeriods": "3",
                   "DatapointsToAlarm": 2, "Threshold": "1.5", "ComparisonOperator": "GreaterThanThreshold"},
}  # fmt: skip


def create(cloud: LocalCloud, resources: dict[str, Any], **outputs: Any) -> str:
    name = f"stack-{uuid.uuid4().hex[:8]}"
    cloud.client("cloudformation").create_stack(StackName=name, TemplateBody=template(resources, **outputs))
    return name


def update(cloud: LocalCloud, name: str, resources: dict[str, Any], **outputs: Any) -> None:
    cloud.client("cloudformation").update_stack(StackName=name, TemplateBody=template(resources, **outputs))


def template(resources: dict[str, Any], **outputs: Any) -> str:
    return json.dumps({"Resources": resources, "Outputs": {key: {"Value": value} for key, value in outputs.items()}})


def stack(cloud: LocalCloud, name: str) -> dict[str, Any]:
    stack: dict[str, Any] = list_all(cloud.client("cloudformation"), "describe_stacks", "Stacks", StackName=name)[0]
    return stack


def outputs(cloud: LocalCloud, name: str) -> dict[str, str]:
    return {output["OutputKey"]: output["OutputValue"] for output in stack(cloud, name)["Outputs"]}


def definition(image: str) -> dict[str, Any]:
    container = {"Name": "app", "Image": image, "Environment": [{"Name": "A", "Value": "b"}]}
    properties = {"Family": "contract", "Cpu": "256", "Memory": "512", "NetworkMode": "awsvpc",
                  "TaskRoleArn": "arn:aws:iam::123456789012:role/task", "ContainerDefinitions": [container]}  # fmt: skip  # noqa: E501
    return {"Type": "AWS::ECS::TaskDefinition", "Properties": properties}


def test_the_error_about_an_unknown_type_names_the_type(cloud: LocalCloud) -> None:
    name = create(cloud, {"Odd": {"Type": "AWS::Odd::Thing"}})
    assert stack(cloud, name)["StackStatus"] == "CREATE_FAILED"
    events = list_all(cloud.client("cloudformation"), "describe_stack_events", "StackEvents", StackName=name)
    assert any(event["LogicalResourceId"] == "Odd" and "AWS::Odd::Thing" in event["ResourceStatusReason"]
               for event in events)  # fmt: skip


def test_the_error_about_an_unknown_property_names_the_property(cloud: LocalCloud) -> None:
    name = create(cloud, {"Alarm": ALARM | {"Properties": ALARM["Properties"] | {"Treshold": 1}}})  # type: ignore[operator]
    assert "Treshold" in stack(cloud, name)["StackStatusReason"]


def test_cloudformation_creates_updates_and_deletes_alarms_and_composite_alarms(cloud: LocalCloud) -> None:
    composite = {"Type": "AWS::CloudWatch::CompositeAlarm",
                 "Properties": {"AlarmRule": {"Fn::Sub": 'ALARM("${Alarm}")'}}}  # fmt: skip
    name = create(
        cloud, {"Alarm": ALARM, "Both": composite}, Alarm={"Ref": "Alarm"}, Arn={"Fn::GetAtt": ["Both", "Arn"]}
    )
    alarm = outputs(cloud, name)["Alarm"]
    cloudwatch = cloud.client("cloudwatch")
    (described,) = list_all(cloudwatch, "describe_alarms", "MetricAlarms", AlarmNames=[alarm])
    assert (described["Threshold"], described["EvaluationPeriods"], described["DatapointsToAlarm"]) == (1.5, 3, 2)
    update(cloud, name, {"Alarm": ALARM | {"Properties": ALARM["Properties"] | {"Threshold": 9}}},  # type: ignore[operator]
           Alarm={"Ref": "Alarm"})  # fmt: skip
    (changed,) = list_all(cloudwatch, "describe_alarms", "MetricAlarms", AlarmNames=[alarm])
    assert changed["Threshold"] == 9
    cloud.client("cloudformation").delete_stack(StackName=name)
    assert list_all(cloudwatch, "describe_alarms", "MetricAlarms", AlarmNames=[alarm]) == []


def test_a_protected_stack_can_be_deleted_only_without_its_protection(cloud: LocalCloud) -> None:
    name, client = create(cloud, {"Alarm": ALARM}), cloud.client("cloudformation")
    client.update_termination_protection(StackName=name, EnableTerminationProtection=True)
    assert stack(cloud, name)["EnableTerminationProtection"] is True
    with pytest.raises(ClientError, match="TerminationProtection is enabled"):
        client.delete_stack(StackName=name)
    assert stack(cloud, name)["StackStatus"] == "CREATE_COMPLETE"
    client.update_termination_protection(StackName=name, EnableTerminationProtection=False)
    client.delete_stack(StackName=name)
    with pytest.raises(ClientError):
        stack(cloud, name)


def test_a_task_definition_keeps_everything_and_its_replacement_reaches_dependents(cloud: LocalCloud) -> None:
    parameter = {"Type": "AWS::SSM::Parameter",
                 "Properties": {"Type": "String", "Name": f"/d/{uuid.uuid4()}", "Value": {"Ref": "Td"}}}  # fmt: skip
    follower = {"Type": "AWS::Logs::LogGroup",
                "Properties": {"LogGroupName": {"Fn::Join": ["", ["g-", {"Fn::Select": [6, {"Fn::Split": [":", {"Ref": "Td"}]}]}]]}}}  # fmt: skip  # noqa: E501
    del parameter
    name = create(cloud, {"Follower": follower, "Td": definition("a:1")}, Td={"Ref": "Td"}, Group={"Ref": "Follower"})
    first = outputs(cloud, name)
    ecs = cloud.client("ecs")
    original = ecs.describe_task_definition(taskDefinition=first["Td"])["taskDefinition"]
    assert (original["cpu"], original["networkMode"], original["taskRoleArn"][-4:]) == ("256", "awsvpc", "task")
    update(cloud, name, {"Follower": follower, "Td": definition("a:2")}, Td={"Ref": "Td"}, Group={"Ref": "Follower"})
    second = outputs(cloud, name)
    assert second["Td"] != first["Td"]
    assert second["Group"] == f"g-{second['Td'].rsplit(':', 1)[1]}"
    assert ecs.describe_task_definition(taskDefinition=first["Td"])["taskDefinition"]["status"] == "INACTIVE"


def test_a_replaced_resource_with_the_policy_retain_stays(cloud: LocalCloud) -> None:
    retained = {"UpdateReplacePolicy": "Retain"}
    name = create(cloud, {"Td": definition("b:1") | retained}, Td={"Ref": "Td"})
    first = outputs(cloud, name)["Td"]
    update(cloud, name, {"Td": definition("b:2") | retained}, Td={"Ref": "Td"})
    described = cloud.client("ecs").describe_task_definition(taskDefinition=first)["taskDefinition"]
    assert described["status"] == "ACTIVE"


def test_a_rule_keeps_all_settings_of_its_targets(cloud: LocalCloud) -> None:
    target = {"Id": "T", "Arn": "arn:aws:sqs:eu-west-1:123456789012:q", "RoleArn": "arn:aws:iam::123456789012:role/r",
              "RetryPolicy": {"MaximumRetryAttempts": 3},
              "DeadLetterConfig": {"Arn": "arn:aws:sqs:eu-west-1:123456789012:dlq"}}  # fmt: skip
    rule = {"Type": "AWS::Events::Rule", "Properties": {"EventPattern": {"source": ["x"]}, "Targets": [target]}}
    name = create(cloud, {"Rule": rule}, Rule={"Ref": "Rule"})
    targets = list_all(cloud.client("events"), "list_targets_by_rule", "Targets", Rule=outputs(cloud, name)["Rule"])
    assert targets == [target]


def test_cloudformation_attaches_and_changes_a_roles_policies(cloud: LocalCloud) -> None:
    nothing = {"Effect": "Deny", "Action": "sqs:PurgeQueue", "Resource": "*"}
    document = {"Version": "2012-10-17", "Statement": [nothing]}

    def role(*names: str) -> dict[str, Any]:
        policies = [{"PolicyName": name, "PolicyDocument": document} for name in names]
        managed = ["arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"]
        principal = {"Service": "lambda.amazonaws.com"}
        statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal}
        trust = {"Version": "2012-10-17", "Statement": [statement]}
        properties = {"AssumeRolePolicyDocument": trust, "ManagedPolicyArns": managed, "Policies": policies}
        return {"Type": "AWS::IAM::Role", "Properties": properties}

    name = create(cloud, {"Role": role("one")}, Role={"Ref": "Role"})
    iam, role_name = cloud.client("iam"), outputs(cloud, name)["Role"]
    assert len(list_all(iam, "list_attached_role_policies", "AttachedPolicies", RoleName=role_name)) == 1
    update(cloud, name, {"Role": role("two")}, Role={"Ref": "Role"})
    assert list_all(iam, "list_role_policies", "PolicyNames", RoleName=role_name) == ["two"]


def test_a_stack_deletes_each_resource_before_those_that_it_refers_to(cloud: LocalCloud) -> None:
    """A policy can't be detached from a role that is gone. Ten pairs: in a random order, one of them would fail."""
    allowed = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "*"}
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}
    resources: dict[str, Any] = {}
    for index in range(10):
        document = {"Version": "2012-10-17", "Statement": [trust]}
        resources[f"Role{index}"] = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": document}}
        resources[f"Policy{index}"] = {
            "Type": "AWS::IAM::Policy",
            "Properties": {
                "PolicyName": f"policy-{index}",
                "PolicyDocument": {"Version": "2012-10-17", "Statement": [allowed]},
                "Roles": [{"Ref": f"Role{index}"}],
            },
        }
    name = create(cloud, resources, Role={"Ref": "Role0"})
    role = outputs(cloud, name)["Role"]

    cloud.client("cloudformation").delete_stack(StackName=name)

    with pytest.raises(ClientError, match="NoSuchEntity"):
        cloud.client("iam").get_role(RoleName=role)


def test_cloudformation_creates_a_subscription(cloud: LocalCloud) -> None:
    subscription = {"Type": "AWS::SNS::Subscription",
                    "Properties": {"TopicArn": {"Ref": "Topic"}, "Protocol": "email", "Endpoint": "a@example.com"}}  # fmt: skip  # noqa: E501
    name = create(cloud, {"Topic": {"Type": "AWS::SNS::Topic"}, "Sub": subscription}, Topic={"Ref": "Topic"})
    subscriptions = list_all(
        cloud.client("sns"), "list_subscriptions_by_topic", "Subscriptions", TopicArn=outputs(cloud, name)["Topic"]
    )
    assert [(item["Protocol"], item["Endpoint"]) for item in subscriptions] == [("email", "a@example.com")]


def test_change_sets_of_two_stacks_may_share_a_name_and_produce_outputs(cloud: LocalCloud) -> None:
    cloudformation = cloud.client("cloudformation")
    names = [f"cs-{uuid.uuid4().hex[:8]}" for _ in range(2)]
    for name in names:
        body = template(
            {"Topic": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": name}}}, Topic={"Ref": "Topic"}
        )
        cloudformation.create_change_set(
            StackName=name, ChangeSetName="cdk-deploy-change-set", ChangeSetType="CREATE", TemplateBody=body
        )
    for name in names:
        cloudformation.execute_change_set(StackName=name, ChangeSetName="cdk-deploy-change-set")
    assert [outputs(cloud, name)["Topic"].rsplit(":", 1)[1] for name in names] == names


def test_an_unknown_change_set_is_an_error(cloud: LocalCloud) -> None:
    with pytest.raises(ClientError) as error:
        cloud.client("cloudformation").describe_change_set(StackName="none", ChangeSetName="none")
    assert error.value.response["Error"]["Code"].startswith("ChangeSetNotFound")


def test_a_stack_describes_its_resources_with_type_and_physical_id(cloud: LocalCloud) -> None:
    name = create(cloud, {"Alarm": ALARM, "Td": definition("d:1")}, Td={"Ref": "Td"})
    resources = cloud.client("cloudformation").describe_stack_resources(StackName=name)["StackResources"]
    by_id = {resource["LogicalResourceId"]: resource for resource in resources}
    assert set(by_id) == {"Alarm", "Td"}
    assert by_id["Td"]["ResourceType"] == "AWS::ECS::TaskDefinition"
    assert by_id["Td"]["PhysicalResourceId"] == outputs(cloud, name)["Td"]


def test_a_test_can_show_a_stack_in_the_middle_of_an_update(cloud: LocalCloud) -> None:
    name = create(cloud, {"Alarm": ALARM})
    with busy(cloud, name, "UPDATE_ROLLBACK_IN_PROGRESS"):
        assert stack(cloud, name)["StackStatus"] == "UPDATE_ROLLBACK_IN_PROGRESS"
    assert stack(cloud, name)["StackStatus"] == "CREATE_COMPLETE"


def test_an_ecs_service_has_the_tags_of_its_stack(cloud: LocalCloud) -> None:
    cluster = f"tags-{uuid.uuid4().hex[:8]}"
    properties = {"ServiceName": "tagged", "Cluster": {"Ref": "Cluster"}, "TaskDefinition": {"Ref": "Definition"},
                  "DesiredCount": 0, "Tags": [{"Key": "team", "Value": "shop"}]}  # fmt: skip
    resources = {
        "Cluster": {"Type": "AWS::ECS::Cluster", "Properties": {"ClusterName": cluster}},
        "Definition": definition("web:1"),
        "Service": {"Type": "AWS::ECS::Service", "Properties": properties},
    }
    name = create(cloud, resources)
    answer = cloud.client("ecs").describe_services(cluster=cluster, services=["tagged"], include=["TAGS"])
    tags = {tag["key"]: tag["value"] for tag in answer["services"][0]["tags"]}
    assert tags["team"] == "shop"
    assert tags["aws:cloudformation:stack-name"] == name
    assert tags["aws:cloudformation:logical-id"] == "Service"
