"""A Neon beside the embedded cloud: the cloud's tasks reach it, and it ends with the cloud."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections.abc import Iterator

import pytest
from contract.local_cloud.workload import Workload, eventually
from contract.neon_projects import LocalProject

from local_cloud.deployment.server import LocalCloud
from local_cloud.elb.load import LoadGenerator
from local_cloud.listing import list_all
from local_cloud.neon.project import Limits

_STARTED_AND_STOPPED = """
import socket
from urllib.parse import urlsplit
from local_cloud.deployment.server import LocalCloud

with LocalCloud() as cloud:
    neon = cloud.neon()
    port = urlsplit(neon.base_url).port
    folder = neon._folder
    neon.create_project()
    socket.create_connection(("127.0.0.1", port)).close()
assert not folder.exists()
try:
    socket.create_connection(("127.0.0.1", port))
except ConnectionRefusedError:
    print("gone")
"""


@pytest.fixture
def project(cloud: LocalCloud) -> Iterator[LocalProject]:
    project = LocalProject(cloud.neon(), Limits())
    yield project
    project.close()


@pytest.fixture
def web(cloud: LocalCloud, project: LocalProject) -> Iterator[tuple[Workload, str]]:
    """A service whose tasks get the address of the branch `main` from a secret, and the branch's id."""
    branch = project.databases.branch_named("main")
    assert branch is not None
    uri = project.uri(branch.id)
    secret = cloud.client("secretsmanager").create_secret(Name=f"db-{uuid.uuid4().hex[:8]}", SecretString=uri)["ARN"]
    workload, iam = Workload(cloud), cloud.client("iam")
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    role = iam.create_role(RoleName=workload.name, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    statement = {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": secret}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_role_policy(RoleName=workload.name, PolicyName="own", PolicyDocument=document)
    workload.push(
        "v1",
        {"reads": "SELECT row FROM written", "commands": {"down": {"sql": "INSERT INTO written VALUES (7)"}}},
    )
    container = {
        "name": "app", "image": f"{workload.repository}:v1", "portMappings": [{"containerPort": 8080}],
        "secrets": [{"name": "DATABASE_URL", "valueFrom": secret}],
    }  # fmt: skip
    workload.ecs.register_task_definition(
        family=workload.name, containerDefinitions=[container], cpu="256", memory="512", networkMode="awsvpc",
        requiresCompatibilities=["FARGATE"], executionRoleArn=role,
    )  # fmt: skip
    yield workload, branch.id
    if list_all(workload.ecs, "list_services", "serviceArns", cluster=workload.name):
        workload.delete()


def test_the_tasks_of_a_service_fail_once_their_schema_is_gone(
    web: tuple[Workload, str], project: LocalProject
) -> None:
    workload, branch = web
    workload.create(workload.name, desired=1)
    workload.wait_for("COMPLETED")
    with LoadGenerator(workload.url, 20) as load:
        eventually(lambda: load.served >= 5)
        assert load.failed == 0
        project.run(branch, "DROP TABLE written")
        eventually(lambda: load.failed >= 5)
    assert workload.target_states() == ["healthy"]


def test_a_one_off_task_changes_the_branch(web: tuple[Workload, str], project: LocalProject) -> None:
    workload, branch = web
    arn = workload.run(workload.name, ["down"])
    eventually(lambda: workload.task(arn)["lastStatus"] == "STOPPED")
    assert workload.task(arn)["containers"][0]["exitCode"] == 0
    assert project.rows(branch) == [7]


def test_a_cloud_has_one_neon_for_repeated_requests(cloud: LocalCloud) -> None:
    assert cloud.neon() is cloud.neon()


def test_the_neon_of_a_cloud_ends_with_the_cloud() -> None:
    process = subprocess.run(
        [sys.executable, "-c", _STARTED_AND_STOPPED], capture_output=True, text=True, check=False, timeout=120
    )
    assert (process.returncode, process.stdout) == (0, "gone\n"), process.stderr


def test_a_stopped_cloud_has_no_neon() -> None:
    with pytest.raises(RuntimeError, match="does not run"):
        LocalCloud().neon()
