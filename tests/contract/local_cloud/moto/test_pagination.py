"""The embedded cloud answers in pages of two. All pages together are the whole, and unknown tokens are refused."""

import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError
from contract.local_cloud.workload import Workload

from local_cloud.deployment.server import LocalCloud
from local_cloud.listing import list_all
from local_cloud.moto_fixes import pagination
from local_cloud.moto_fixes.pagination_model import invalid_token_code, paged

TRUST = json.dumps({"Version": "2012-10-17", "Statement": []})
ALLOW = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]})
HERE = uuid.uuid4().hex[:6]
FIVE = [f"pages-{HERE}-{number}" for number in range(5)]


@dataclass(frozen=True)
class Operation:
    """An operation that lists, and how to make five items for its list."""

    service: str
    name: str
    member: str
    make: Callable[[Any], None]
    parameters: dict[str, Any] = field(default_factory=dict)
    token: str = "nextToken"


def _roles(iam: Any) -> None:
    for name in FIVE:
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)
        iam.put_role_policy(RoleName=FIVE[0], PolicyName=name, PolicyDocument=ALLOW)


def _alarm(cloudwatch: Any, name: str) -> None:
    cloudwatch.put_metric_alarm(
        AlarmName=name, MetricName="m", Namespace="n", Period=60, EvaluationPeriods=1, Threshold=1, Statistic="Sum",
        ComparisonOperator="GreaterThanThreshold",
    )  # fmt: skip


def _alarms(cloudwatch: Any) -> None:
    """Make three metric alarms and two composite alarms, so that a page may hold both."""
    for name in FIVE[:3]:
        _alarm(cloudwatch, name)
    for name in FIVE[3:]:
        cloudwatch.put_composite_alarm(AlarmName=name, AlarmRule=f'ALARM("{FIVE[0]}")')


def _rule(events: Any) -> None:
    events.put_rule(Name=FIVE[0], EventPattern='{"source": ["a"]}')
    topic = "arn:aws:sns:eu-west-1:123456789012:t"
    events.put_targets(Rule=FIVE[0], Targets=[{"Id": name, "Arn": topic} for name in FIVE])


def _groups(elbv2: Any) -> None:
    for name in FIVE:
        elbv2.create_target_group(Name=name, TargetType="lambda")


def _stack(cloudformation: Any) -> None:
    resources = {f"T{number}": {"Type": "AWS::SNS::Topic"} for number in range(5)}
    cloudformation.create_stack(StackName=FIVE[0], TemplateBody=json.dumps({"Resources": resources}))


def _each(method: str, name: str, **parameters: Any) -> Callable[[Any], None]:
    def make(client: Any) -> None:
        for value in FIVE:
            getattr(client, method)(**{name: value}, **parameters)

    return make


OPERATIONS = [
    Operation("ecs", "list_clusters", "clusterArns", _each("create_cluster", "clusterName")),
    Operation("iam", "list_role_policies", "PolicyNames", _roles, {"RoleName": FIVE[0]}, "Marker"),
    Operation(
        "cloudwatch", "describe_alarms", "MetricAlarms", _alarms,
        {"AlarmNames": FIVE, "AlarmTypes": ["MetricAlarm", "CompositeAlarm"]}, "NextToken",
    ),
    Operation("events", "list_targets_by_rule", "Targets", _rule, {"Rule": FIVE[0]}, "NextToken"),
    Operation("elbv2", "describe_target_groups", "TargetGroups", _groups, {"Names": FIVE}, "Marker"),
    Operation("cloudformation", "list_stack_resources", "StackResourceSummaries", _stack,
              {"StackName": FIVE[0]}, "NextToken"),
    Operation("logs", "describe_log_groups", "logGroups", _each("create_log_group", "logGroupName"),
              {"logGroupNamePrefix": f"pages-{HERE}"}),
    Operation("ecr", "describe_repositories", "repositories", _each("create_repository", "repositoryName")),
    Operation("sns", "list_topics", "Topics", _each("create_topic", "Name"), {}, "NextToken"),
]  # fmt: skip


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: f"{operation.service}.{operation.name}")
def test_an_answer_is_split_into_small_pages_without_loss(cloud: LocalCloud, operation: Operation) -> None:
    client = cloud.client(operation.service)
    operation.make(client)
    paging = paged(operation.service, client.meta.method_to_api_mapping[operation.name])
    assert paging is not None
    pages = list(client.get_paginator(operation.name).paginate(**operation.parameters))
    sizes = [sum(len(page.get(name, ())) for name in paging.results) for page in pages]
    assert max(sizes) <= pagination.DEFAULT_PAGE_SIZE
    assert sum(sizes) >= len(FIVE)
    assert len(pages) >= 3
    listed = json.dumps([[page.get(name, ()) for name in paging.results] for page in pages], default=str)
    if operation.service != "cloudformation":
        assert all(name in listed for name in FIVE)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: f"{operation.service}.{operation.name}")
def test_an_unknown_page_token_is_refused(cloud: LocalCloud, operation: Operation) -> None:
    client = cloud.client(operation.service)
    with pytest.raises(ClientError) as error:
        getattr(client, operation.name)(**operation.parameters, **{operation.token: "rubbish"})
    api_name = client.meta.method_to_api_mapping[operation.name]
    assert error.value.response["Error"]["Code"] == invalid_token_code(operation.service, api_name)
    assert "oken" in str(error.value)


def test_a_page_token_of_another_operation_is_refused(cloud: LocalCloud) -> None:
    ecs = cloud.client("ecs")
    _each("create_cluster", "clusterName")(ecs)
    token = ecs.list_clusters()["nextToken"]
    with pytest.raises(ecs.exceptions.InvalidParameterException):
        ecs.list_task_definitions(nextToken=token)


def test_a_smaller_limit_is_kept_and_a_larger_one_is_cut(cloud: LocalCloud) -> None:
    ecs = cloud.client("ecs")
    _each("create_cluster", "clusterName")(ecs)
    assert len(ecs.list_clusters(maxResults=1)["clusterArns"]) == 1
    assert len(ecs.list_clusters(maxResults=100)["clusterArns"]) == 2


def test_describe_parameters_begins_with_an_empty_page(cloud: LocalCloud) -> None:
    """Code that reads the first page only would take an existing name for a missing one."""
    ssm = cloud.client("ssm")
    ssm.put_parameter(Name=f"/{FIVE[0]}", Value="x", Type="String")
    by_name = {"ParameterFilters": [{"Key": "Name", "Option": "Equals", "Values": [f"/{FIVE[0]}"]}]}
    first = ssm.describe_parameters(**by_name)
    assert (first["Parameters"], "NextToken" in first) == ([], True)
    assert [parameter["Name"] for parameter in list_all(ssm, "describe_parameters", "Parameters", **by_name)] == [
        f"/{FIVE[0]}"
    ]


def test_a_query_stops_after_two_items_and_goes_on_from_its_key(cloud: LocalCloud) -> None:
    dynamodb = cloud.client("dynamodb")
    dynamodb.create_table(
        TableName=FIVE[0], BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
    )  # fmt: skip
    for name in FIVE:
        dynamodb.put_item(TableName=FIVE[0], Item={"pk": {"S": "a"}, "sk": {"S": name}})
    parameters = {
        "TableName": FIVE[0],
        "KeyConditionExpression": "pk = :pk",
        "ExpressionAttributeValues": {":pk": {"S": "a"}},
    }
    first = dynamodb.query(**parameters)
    assert [item["sk"]["S"] for item in first["Items"]] == FIVE[:2]
    assert first["LastEvaluatedKey"] == {"pk": {"S": "a"}, "sk": {"S": FIVE[1]}}
    assert [item["sk"]["S"] for item in list_all(dynamodb, "query", "Items", **parameters)] == FIVE


def test_an_answer_that_aws_does_not_page_is_not_split(cloud: LocalCloud) -> None:
    web = Workload(cloud, balanced=False)
    for tag in ("one", "two", "three"):
        web.push(tag)
    ids = [{"imageTag": tag} for tag in ("one", "two", "three")]
    assert len(web.ecr.describe_images(repositoryName=web.name, imageIds=ids)["imageDetails"]) == 3
    web.ecs.create_cluster(clusterName=FIVE[0])
    web.ecs.create_cluster(clusterName=FIVE[1])
    assert len(web.ecs.describe_clusters(clusters=[web.name, *FIVE[:2]])["clusters"]) == 3
    assert len(cloud.client("ec2").describe_subnets(SubnetIds=web.subnets)["Subnets"]) == 2


def test_service_deployments_are_listed_in_pages(cloud: LocalCloud) -> None:
    web = Workload(cloud, balanced=False)
    first = web.release("one")
    web.start_and_wait(first, desired=1)
    for _ in range(3):
        web.update(forceNewDeployment=True)
    page = web.ecs.list_service_deployments(cluster=web.name, service=web.name)
    assert (len(page["serviceDeployments"]), "nextToken" in page) == (2, True)
    web.update(desiredCount=0)
    web.ecs.delete_service(cluster=web.name, service=web.name, force=True)


def test_long_lists_have_a_short_first_page_and_then_long_ones(cloud: LocalCloud) -> None:
    logs, group = cloud.client("logs"), f"/{FIVE[0]}"
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName="one")
    now = int(time.time() * 1000)
    logs.put_log_events(
        logGroupName=group, logStreamName="one", logEvents=[{"timestamp": now, "message": name} for name in FIVE]
    )
    first = logs.filter_log_events(logGroupName=group)
    second = logs.filter_log_events(logGroupName=group, nextToken=first["nextToken"])
    assert [[event["message"] for event in page["events"]] for page in (first, second)] == [FIVE[:2], FIVE[2:]]
    limited = logs.filter_log_events(logGroupName=group, nextToken=first["nextToken"], limit=1)
    assert [event["message"] for event in limited["events"]] == FIVE[2:3]
