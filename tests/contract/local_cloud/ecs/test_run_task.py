"""RunTask: one-off commands, their exit codes and logs, and ECS's refusals."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from contract.local_cloud.workload import Workload, eventually

from local_cloud.deployment.server import LocalCloud
from local_cloud.iam import credentials
from local_cloud.listing import list_all

COMMANDS: dict[str, Any] = {
    "pnpm db:down 0002_x": {"says": "stepping down"},
    "fail": {"exit": 3},
    "long": {"seconds": 60},
}


@pytest.fixture
def worker(cloud: LocalCloud) -> Workload:
    return Workload(cloud, balanced=False)


@pytest.fixture
def definition(worker: Workload) -> str:
    return worker.release("v1", {"commands": COMMANDS})


@pytest.fixture
def long(worker: Workload, definition: str) -> Iterator[str]:
    """Start a task that runs until it is stopped."""
    arn = worker.run(definition, ["long"])
    yield arn
    worker.ecs.stop_task(cluster=worker.name, task=arn)


def wait_until_stopped(worker: Workload, arn: str) -> dict[str, Any]:
    return eventually(lambda: task if (task := worker.task(arn))["lastStatus"] == "STOPPED" else None)


def test_a_one_off_command_runs_to_its_end_and_ecs_shows_its_exit_code(worker: Workload, definition: str) -> None:
    first = worker.run_task(definition, ["pnpm", "db:down", "0002_x"], startedBy="rollback-1")
    assert (first["lastStatus"], first["startedBy"], first["group"]) == (
        "PROVISIONING", "rollback-1", f"family:{worker.name}",
    )  # fmt: skip
    task = wait_until_stopped(worker, first["taskArn"])
    assert (task["containers"][0]["exitCode"], task["desiredStatus"]) == (0, "STOPPED")
    assert (task["stopCode"], task["stoppedReason"]) == (
        "EssentialContainerExited", "Essential container in task exited",
    )  # fmt: skip
    assert task["createdAt"] <= task["startedAt"] <= task["stoppedAt"]
    assert task["overrides"]["containerOverrides"][0]["command"] == ["pnpm", "db:down", "0002_x"]


@pytest.mark.parametrize(("command", "code"), [("fail", 3), ("not-there", 127)])
def test_ecs_shows_the_exit_code_of_a_failed_command(
    worker: Workload, definition: str, command: str, code: int
) -> None:
    task = wait_until_stopped(worker, worker.run(definition, [command]))
    assert task["containers"][0]["exitCode"] == code


def test_the_output_of_a_command_is_in_the_log_before_its_task_is_stopped(cloud: LocalCloud, worker: Workload) -> None:
    logs = cloud.client("logs")
    logs.create_log_group(logGroupName=worker.name)
    options = {"awslogs-group": worker.name, "awslogs-region": cloud.region, "awslogs-stream-prefix": "express"}
    settings = {"logConfiguration": {"logDriver": "awslogs", "options": options}}
    arn = worker.run(worker.release("v1", {"commands": COMMANDS}, **settings), ["pnpm", "db:down", "0002_x"])
    wait_until_stopped(worker, arn)
    stream = f"express/app/{arn.rsplit('/', 1)[-1]}"
    events = logs.get_log_events(logGroupName=worker.name, logStreamName=stream)["events"]
    assert [event["message"] for event in events] == ["$ pnpm db:down 0002_x", "stepping down"]


def test_list_tasks_finds_a_task_by_started_by_until_it_is_stopped(worker: Workload, definition: str) -> None:
    arn = worker.run(definition, ["long"], startedBy="rollback-2")
    eventually(lambda: worker.task(arn)["lastStatus"] == "RUNNING")
    by_us = {"cluster": worker.name, "startedBy": "rollback-2"}
    assert list_all(worker.ecs, "list_tasks", "taskArns", **by_us) == [arn]
    assert list_all(worker.ecs, "list_tasks", "taskArns", cluster=worker.name, startedBy="somebody-else") == []
    worker.ecs.stop_task(cluster=worker.name, task=arn, reason="test")
    task = wait_until_stopped(worker, arn)
    assert (task["stopCode"], task["stoppedReason"]) == ("UserInitiated", "test")
    assert task["containers"][0]["exitCode"] == 143  # SIGTERM
    assert list_all(worker.ecs, "list_tasks", "taskArns", **by_us) == []
    assert list_all(worker.ecs, "list_tasks", "taskArns", cluster=worker.name, desiredStatus="STOPPED") == [arn]
    with pytest.raises(worker.ecs.exceptions.InvalidParameterException, match="only filter"):
        worker.ecs.list_tasks(**by_us, desiredStatus="STOPPED")


def test_a_task_without_a_command_runs_the_server(worker: Workload, definition: str) -> None:
    (task,) = worker.ecs.run_task(
        cluster=worker.name, taskDefinition=definition, launchType="FARGATE", networkConfiguration=worker.network
    )["tasks"]
    eventually(lambda: worker.task(task["taskArn"])["lastStatus"] == "RUNNING")
    worker.ecs.stop_task(cluster=worker.name, task=task["taskArn"])
    assert wait_until_stopped(worker, task["taskArn"])["containers"][0]["exitCode"] == 0


def test_a_task_whose_image_is_missing_cannot_start(worker: Workload) -> None:
    task = wait_until_stopped(worker, worker.run(worker.register("never-pushed"), ["long"]))
    assert task["stopCode"] == "TaskFailedToStart"
    assert task["stoppedReason"].startswith("CannotPullContainerError")
    assert "exitCode" not in task["containers"][0]


def test_the_same_client_token_starts_one_task_only(worker: Workload, definition: str) -> None:
    token = uuid.uuid4().hex
    first = worker.run(definition, ["fail"], clientToken=token)
    assert worker.run(definition, ["fail"], clientToken=token) == first
    wait_until_stopped(worker, first)
    assert worker.run(definition, ["fail"], clientToken=token) == first
    assert worker.run(definition, ["fail"], clientToken=uuid.uuid4().hex) != first


def test_a_client_token_with_other_parameters_is_a_conflict(worker: Workload, definition: str) -> None:
    token = uuid.uuid4().hex
    first = worker.run(definition, ["fail"], clientToken=token)
    with pytest.raises(ClientError) as error:
        worker.run(definition, ["pnpm"], clientToken=token)
    assert error.value.response["Error"]["Code"] == "ConflictException"
    assert dict(error.value.response)["resourceIds"] == [first]


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"launchType": "EC2"}, "No Container Instances were found in your cluster"),
        ({"networkConfiguration": {}}, "Network Configuration must be provided when networkMode 'awsvpc' is specified"),
        ({"startedBy": "an arn:with:colons"}, "startedBy"),
        ({"count": 11}, "between 1 and 10"),
        (
            {"overrides": {"containerOverrides": [{"name": "web"}]}},
            "Override for container named web is not a container",
        ),
        ({"capacityProviderStrategy": [{"capacityProvider": "FARGATE"}]}, "but not both"),
    ],
)
def test_run_task_refuses_what_ecs_refuses(
    worker: Workload, definition: str, settings: dict[str, Any], text: str
) -> None:
    with pytest.raises(ClientError, match=text) as error:
        worker.run(definition, ["fail"], **settings)
    assert error.value.response["Error"]["Code"] == "InvalidParameterException"
    assert list_all(worker.ecs, "list_tasks", "taskArns", cluster=worker.name) == []


def test_run_task_without_a_launch_type_finds_no_ec2_instance(worker: Workload, definition: str) -> None:
    with pytest.raises(ClientError, match="No Container Instances were found"):
        worker.ecs.run_task(cluster=worker.name, taskDefinition=definition, networkConfiguration=worker.network)


def test_an_inactive_definition_is_refused(worker: Workload, definition: str) -> None:
    worker.ecs.deregister_task_definition(taskDefinition=definition)
    with pytest.raises(ClientError, match="TaskDefinition is inactive"):
        worker.run(definition, ["fail"])


def test_run_task_names_a_missing_cluster(worker: Workload, definition: str) -> None:
    with pytest.raises(ClientError) as error:
        worker.run(definition, ["fail"], cluster="not-there")
    assert error.value.response["Error"]["Code"] == "ClusterNotFoundException"


def test_running_a_task_needs_its_definition_and_to_pass_its_roles(cloud: LocalCloud, worker: Workload) -> None:
    worker.push("v1", {"commands": COMMANDS})
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    execution_role = cloud.client("iam").create_role(
        RoleName=f"{worker.name}-execution", AssumeRolePolicyDocument=trust
    )
    role = execution_role["Role"]["Arn"]
    definition = worker.ecs.register_task_definition(
        family=worker.name, containerDefinitions=[{"name": "app", "image": f"{worker.repository}:v1"}], cpu="256",
        memory="512", networkMode="awsvpc", requiresCompatibilities=["FARGATE"], executionRoleArn=role,
    )["taskDefinition"]["taskDefinitionArn"]  # fmt: skip
    run = {"Effect": "Allow", "Action": "ecs:RunTask", "Resource": definition}
    passing = {"Effect": "Allow", "Action": "iam:PassRole", "Resource": role}
    elsewhere = {**run, "Resource": f"{definition}0"}
    for statements, missing_action in (([elsewhere, passing], "ecs:RunTask"), ([run], "iam:PassRole")):
        with pytest.raises(ClientError, match=f"not authorized to perform: {missing_action}"):
            _as(cloud, worker, statements).run(definition, ["fail"])
    assert _as(cloud, worker, [run, passing]).run(definition, ["fail"])


def _as(cloud: LocalCloud, worker: Workload, statements: list[dict[str, Any]]) -> Workload:
    """The workload, called by a role with only these permissions."""
    iam, name = cloud.client("iam"), f"runner-{uuid.uuid4().hex[:8]}"
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=document)
    other = object.__new__(Workload)
    other.__dict__.update(worker.__dict__, ecs=credentials.service_client("ecs", cloud.region, arn))
    return other
