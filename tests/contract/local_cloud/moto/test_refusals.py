"""Permanent failures of adapters on the embedded cloud. Step Functions knows an error by the name of its class."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from contract.local_cloud.test_functions import archive, make_function
from contract.local_cloud.test_identity import allow, client
from contract.local_cloud.test_step_functions import Machines

from local_cloud.deployment.server import LocalCloud
from rollback.adapters.aws.autoscaling import EcsScaling
from rollback.adapters.aws.cloudwatch import CloudWatchAlarms
from rollback.adapters.aws.ecs.client import EcsServices
from rollback.adapters.aws.elb import ElbTargets
from rollback.adapters.aws.reporting.sns import SnsNotifications
from rollback.adapters.ledger.table import LedgerTable
from rollback.domain.settings.environment import ServiceSettings
from rollback.errors import CallRefused, RefusalKind
from rollback.resources.aws.execution_failure import ExecutionFailure
from rollback_constructs.workflow import retries, transient_retries

ACCOUNT = "eu-west-1:123456789012"
WEB = ServiceSettings(name="web", cluster="prod", ecs_service="web", container="web")
TOPIC = f"arn:aws:sns:{ACCOUNT}:pages"
GROUP = f"arn:aws:elasticloadbalancing:{ACCOUNT}:targetgroup/web/0123456789abcdef"
Calls = dict[str, tuple[str, str, Callable[[Any], object]]]

# Forbidden action → the SDK's service, and a call of the adapter.
CALLS: Calls = {
    "ecs:UpdateService": (
        "ecs", f"arn:aws:ecs:{ACCOUNT}:service/prod/web",
        lambda sdk: EcsServices(sdk, sdk).update(WEB, desired_count=2),
    ),
    "ecs:DescribeServices": (
        "ecs", f"arn:aws:ecs:{ACCOUNT}:service/prod/web", lambda sdk: EcsServices(sdk, sdk).describe(WEB),
    ),
    "dynamodb:GetItem": (
        "dynamodb", f"arn:aws:dynamodb:{ACCOUNT}:table/ledger", lambda sdk: LedgerTable(sdk, "ledger").get("a", "b"),
    ),
    "dynamodb:Query": (
        "dynamodb", f"arn:aws:dynamodb:{ACCOUNT}:table/ledger",
        lambda sdk: list(LedgerTable(sdk, "ledger").query("a", "b")),
    ),
    "sns:Publish": (
        "sns", TOPIC, lambda sdk: SnsNotifications(sdk, TOPIC, TOPIC).publish("subject", "message", {}),
    ),
    "cloudwatch:DescribeAlarms": (
        "cloudwatch", "", lambda sdk: CloudWatchAlarms(sdk, sdk).states(("degraded",)),
    ),
    "elasticloadbalancing:DescribeTargetHealth": ("elbv2", "", lambda sdk: ElbTargets(sdk).health(GROUP)),
    "application-autoscaling:DescribeScalableTargets": (
        "application-autoscaling", "", lambda sdk: EcsScaling(sdk, sdk).describe(WEB),
    ),
}  # fmt: skip


@pytest.mark.parametrize("action", CALLS)
def test_a_call_that_iam_denies_fails_permanently_and_names_permission_and_resource(
    cloud: LocalCloud, action: str
) -> None:
    service, resource, call = CALLS[action]
    with pytest.raises(CallRefused) as error:
        call(client(cloud, service, allow("s3:GetObject")))
    assert error.value.kind is RefusalKind.ACCESS
    assert error.value.action.lower() == action.lower()
    if resource:
        assert error.value.resource == resource
    assert f'"Action":"{error.value.action}"' in str(error.value)
    assert "to role caller-" in str(error.value)


def test_a_call_on_a_missing_cluster_fails_permanently(cloud: LocalCloud) -> None:
    sdk: Any = cloud.client("ecs")
    with pytest.raises(CallRefused, match="check that name in the settings") as error:
        EcsServices(sdk, sdk).update(WEB, desired_count=2)
    assert error.value.kind is RefusalKind.NOT_FOUND


# Step Functions

SENTENCE = 'AWS refused ecs:UpdateService; add: {"Effect":"Allow"}'
RAISES = f"""
import boto3
class CallRefused(Exception): pass
class ExternalServiceError(Exception): pass
def handler(event, context):
    boto3.client("sqs").send_message(QueueUrl=event["queue"], MessageBody="attempt")
    raise globals()[event["raise"]]({SENTENCE!r})
"""


@pytest.fixture(scope="module")
def machines(cloud: LocalCloud) -> Machines:
    iam = cloud.client("iam")
    trust = {"Statement": [{"Effect": "Allow", "Principal": {"Service": "states.amazonaws.com"},
                            "Action": "sts:AssumeRole"}], "Version": "2012-10-17"}  # fmt: skip
    arn = iam.create_role(RoleName="refusals", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    document = {"Version": "2012-10-17", "Statement": [allow("*")]}
    iam.put_role_policy(RoleName="refusals", PolicyName="all", PolicyDocument=json.dumps(document))
    return Machines(cloud, arn)


@pytest.fixture(scope="module")
def function(cloud: LocalCloud) -> str:
    return make_function(cloud, Code={"ZipFile": archive(RAISES)})


@pytest.mark.parametrize(
    ("raised", "retry", "attempts"),
    [
        ("CallRefused", transient_retries(), 1),  # every step
        ("CallRefused", retries("States.ALL", attempts=20, longest_seconds=1), 1),  # Conclude
        ("ExternalServiceError", retries("ExternalServiceError", attempts=2, longest_seconds=1), 3),
        ("ExternalServiceError", retries("States.ALL", attempts=2, longest_seconds=1), 3),
    ],
)
def test_step_functions_does_not_retry_a_permanent_failure_and_catches_a_readable_cause(
    cloud: LocalCloud, machines: Machines, function: str, raised: str, retry: list[dict[str, Any]], attempts: int
) -> None:
    sqs = cloud.client("sqs")
    queue = sqs.create_queue(QueueName=f"attempts-{raised}-{attempts}-{len(str(retry))}")["QueueUrl"]
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": function, "Payload": {"raise": raised, "queue": queue}},
        "Retry": retry,
        "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": "Caught"}],
        "End": True,
    }
    execution = machines.end_of(machines.start({"Step": task, "Caught": {"Type": "Succeed"}}), seconds=30)
    attributes = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["ApproximateNumberOfMessages"])["Attributes"]
    error = json.loads(execution["output"])["error"]
    failure = ExecutionFailure.read(error["Error"], error["Cause"])
    assert int(attributes["ApproximateNumberOfMessages"]) == attempts
    assert (failure.error, failure.text) == (raised, SENTENCE)
