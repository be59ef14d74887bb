"""Environment and secrets of a task, and why it can't start without a secret, as on Fargate."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from contract.local_cloud.workload import Workload, eventually

from local_cloud.deployment.server import LocalCloud
from local_cloud.listing import list_all

# The container logs its environment: its database is its own variable.
SHOWS = {"commands": {"show": {"shows": ["PLAIN", "WHOLE", "KEY", "PARAMETER", "AWS_ACCESS_KEY_ID"]}}}


@pytest.fixture
def worker(cloud: LocalCloud) -> Iterator[Workload]:
    workload = Workload(cloud, balanced=False)
    cloud.client("logs").create_log_group(logGroupName=workload.name)
    yield workload
    if list_all(workload.ecs, "list_services", "serviceArns", cluster=workload.name):
        workload.delete()


def secret(cloud: LocalCloud, value: str) -> str:
    arn: str = cloud.client("secretsmanager").create_secret(Name=f"s-{uuid.uuid4().hex[:8]}", SecretString=value)["ARN"]
    return arn


def reader(cloud: LocalCloud, *resources: str) -> str:
    """Make an execution role that may only read these."""
    iam, name = cloud.client("iam"), f"reader-{uuid.uuid4().hex[:8]}"
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    arn: str = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    actions = ["secretsmanager:GetSecretValue", "ssm:GetParameters"]
    statement = {"Effect": "Allow", "Action": actions, "Resource": list(resources)}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=document)
    return arn


def definition(worker: Workload, role: str | None, **container: Any) -> str:
    worker.push("v1", SHOWS)
    options = {"awslogs-group": worker.name, "awslogs-region": worker.cloud.region, "awslogs-stream-prefix": "one"}
    shown = {
        "name": "app", "image": f"{worker.repository}:v1", **container,
        "logConfiguration": {"logDriver": "awslogs", "options": options},
    }  # fmt: skip
    answer = worker.ecs.register_task_definition(
        family=worker.name, containerDefinitions=[shown], cpu="256", memory="512", networkMode="awsvpc",
        requiresCompatibilities=["FARGATE"], **({"executionRoleArn": role} if role else {}),
    )  # fmt: skip
    return str(answer["taskDefinition"]["taskDefinitionArn"])


def shown(worker: Workload, arn: str, **override: Any) -> dict[str, str]:
    """Return the variables that a task of the definition gets."""
    task = worker.run(arn, ["show"], **override)
    eventually(lambda: worker.task(task)["lastStatus"] == "STOPPED")
    lines = [
        event["message"]
        for event in list_all(worker.cloud.client("logs"), "filter_log_events", "events", logGroupName=worker.name)
    ]
    return dict(line.split("=", 1) for line in lines if "=" in line)


def why_it_did_not_start(worker: Workload, arn: str) -> str:
    worker.create(arn, desired=1)
    stopped = eventually(lambda: worker.tasks("STOPPED"))[0]
    assert stopped["stopCode"] == "TaskFailedToStart"
    return str(stopped["stoppedReason"])


def test_variables_and_secrets_are_in_the_environment_of_the_task(cloud: LocalCloud, worker: Workload) -> None:
    whole, keyed = secret(cloud, "postgresql://one"), secret(cloud, json.dumps({"url": "postgresql://two"}))
    cloud.client("ssm").put_parameter(Name=f"/{worker.name}/three", Value="three", Type="SecureString")
    parameter = f"arn:aws:ssm:{cloud.region}:{cloud.account}:parameter/{worker.name}/three"
    arn = definition(
        worker, reader(cloud, whole, keyed, parameter), environment=[{"name": "PLAIN", "value": "zero"}],
        secrets=[
            {"name": "WHOLE", "valueFrom": whole},
            {"name": "KEY", "valueFrom": f"{keyed}:url::"},
            {"name": "PARAMETER", "valueFrom": parameter},
        ],
    )  # fmt: skip
    assert shown(worker, arn) == {
        "PLAIN": "zero", "WHOLE": "postgresql://one", "KEY": "postgresql://two", "PARAMETER": "three",
    }  # fmt: skip


def test_an_override_of_a_variable_is_for_its_task_only(cloud: LocalCloud, worker: Workload) -> None:
    arn = definition(worker, None, environment=[{"name": "PLAIN", "value": "zero"}])
    assert shown(worker, arn, environment=[{"name": "PLAIN", "value": "one"}]) == {"PLAIN": "one"}


def test_a_new_value_reaches_the_tasks_that_start_after_it(cloud: LocalCloud, worker: Workload) -> None:
    whole = secret(cloud, "before")
    arn = definition(worker, reader(cloud, whole), secrets=[{"name": "WHOLE", "valueFrom": whole}])
    assert shown(worker, arn) == {"WHOLE": "before"}
    cloud.client("secretsmanager").put_secret_value(SecretId=whole, SecretString="after")
    assert shown(worker, arn) == {"WHOLE": "after"}


def test_a_task_whose_secret_was_deleted_cannot_start(cloud: LocalCloud, worker: Workload) -> None:
    deleted_secret = secret(cloud, "x")
    cloud.client("secretsmanager").delete_secret(SecretId=deleted_secret, ForceDeleteWithoutRecovery=True)
    arn = definition(worker, reader(cloud, deleted_secret), secrets=[{"name": "WHOLE", "valueFrom": deleted_secret}])
    reason = why_it_did_not_start(worker, arn)
    assert reason.startswith("ResourceInitializationError: unable to pull secrets or registry auth")
    assert f"failed to fetch secret {deleted_secret} from secrets manager: ResourceNotFoundException" in reason


def test_a_task_cannot_start_if_its_secret_lacks_the_key(cloud: LocalCloud, worker: Workload) -> None:
    keyed = secret(cloud, json.dumps({"other": "x"}))
    arn = definition(worker, reader(cloud, keyed), secrets=[{"name": "KEY", "valueFrom": f"{keyed}:url::"}])
    assert why_it_did_not_start(worker, arn).endswith("did not contain json key url")


def test_a_task_cannot_start_if_its_parameter_is_missing(cloud: LocalCloud, worker: Workload) -> None:
    arn = definition(worker, reader(cloud, "*"), secrets=[{"name": "PARAMETER", "valueFrom": "/not/there"}])
    assert why_it_did_not_start(worker, arn).endswith("invalid parameters: /not/there")


def test_the_execution_role_must_be_allowed_to_read_the_secret(cloud: LocalCloud, worker: Workload) -> None:
    whole = secret(cloud, "x")
    arn = definition(worker, reader(cloud, f"{whole}-other"), secrets=[{"name": "WHOLE", "valueFrom": whole}])
    reason = why_it_did_not_start(worker, arn)
    assert "AccessDeniedException" in reason
    assert f"not authorized to perform: secretsmanager:GetSecretValue on resource: {whole}" in reason


def test_a_definition_with_secrets_needs_an_execution_role(worker: Workload) -> None:
    with pytest.raises(ClientError, match="must also specify a value for 'executionRoleArn'") as error:
        definition(worker, None, secrets=[{"name": "WHOLE", "valueFrom": "/any"}])
    assert error.value.response["Error"]["Code"] == "ClientException"
