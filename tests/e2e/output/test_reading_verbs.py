"""Reading verbs as a pipeline calls them, by a role that may only read (`docs/output.md`, "Permissions")."""

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import boto3
import jsonschema  # type: ignore[import-untyped]
import pytest
from e2e.live import DeployedEnvironment
from e2e.processes import ROLLBACK, run

from rollback.domain.releases.release import Release

pytestmark = pytest.mark.e2e

DOCS = Path(__file__).parents[3] / "docs"
READER, BLIND = "reader", "reader-without-images"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}],
}
Run = Callable[[str, str], CompletedProcess[str]]


def documented_policy(table: str) -> dict[str, Any]:
    """Read the policy of the page, with the table's name."""
    block = re.search(r"^    \{\n(?:    .*\n)+?    \}\n", (DOCS / "output.md").read_text(), re.MULTILINE)
    assert block is not None
    policy: dict[str, Any] = json.loads(block[0].replace("TABLE", table))
    return policy


@pytest.fixture(scope="module")
def sessions(deployed: DeployedEnvironment, cloud: dict[str, str]) -> dict[str, dict[str, str]]:
    """Environment variables of a role with the documented policy, and of one without the statement about images."""
    stacks = boto3.client("cloudformation").describe_stacks(StackName="MacroAiProductionRollbackStack")["Stacks"]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stacks[0]["Outputs"]}
    policy = documented_policy(outputs["LedgerTable"])
    blind = {**policy, "Statement": [s for s in policy["Statement"] if s["Sid"] != "Images"]}
    iam, sts = boto3.client("iam"), boto3.client("sts")
    found = {}
    for name, document in ((READER, policy), (BLIND, blind)):
        arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
        iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=json.dumps(document))
        keys = sts.assume_role(RoleArn=arn, RoleSessionName="pipeline")["Credentials"]
        found[name] = {
            **cloud,
            "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
            "AWS_SESSION_TOKEN": keys["SessionToken"],
        }
    return found


@pytest.fixture
def as_role(sessions: dict[str, dict[str, str]]) -> Run:
    """Function that runs `rollback` with the credentials of a role."""
    return lambda role, words: run([ROLLBACK, *shlex.split(words)], sessions[role])


def read_document(process: CompletedProcess[str], verb: str) -> dict[str, Any]:
    """Parse the JSON, and validate it against the documented schema."""
    assert process.returncode == 0, process.stdout
    document: dict[str, Any] = json.loads(process.stdout)
    jsonschema.validate(document, json.loads((DOCS / "schemas" / f"cli-{verb}-v1.json").read_text()))
    return document


def test_the_documented_policy_is_enough_for_the_reading_verbs(
    deployed: DeployedEnvironment, good: Release, as_role: Run
) -> None:
    (status,) = read_document(as_role(READER, "status production -o json"), "status")["services"]
    assert (status["running"]["version"], status["not_read"]) == (good.version, [])

    (versions,) = read_document(as_role(READER, "versions production -o json"), "versions")["services"]
    (listed,) = [release for release in versions["releases"] if release["version"] == good.version]
    assert (listed["is_running"], listed["image_status"], versions["not_read"]) == (True, "available", [])

    assert read_document(as_role(READER, "history production -o json"), "history")["environment"] == "production"
    metrics = read_document(as_role(READER, "metrics production -o json"), "metrics")
    assert metrics["performance"]["deployments"] == 1
    image = good.images[deployed.service.container]
    checked = as_role(READER, f"check-deploy production --image {image} -o json")
    assert read_document(checked, "check-deploy")["is_allowed"] is True


def test_without_the_permission_to_describe_images_they_are_not_looked_at(
    deployed: DeployedEnvironment, good: Release, as_role: Run
) -> None:
    (versions,) = read_document(as_role(BLIND, "versions production -o json"), "versions")["services"]
    assert {release["image_status"] for release in versions["releases"]} == {"not looked at"}
    (unread,) = versions["not_read"]
    assert "ecr:DescribeImages" in unread["reason"]


def test_an_image_that_ecr_deleted_is_missing(deployed: DeployedEnvironment, good: Release, as_role: Run) -> None:
    bad = deployed.release({"kind": "errors", "rate": 0.0})
    repository, _, digest = bad.images[deployed.service.container].partition("@")
    name = repository.partition("/")[2]
    deployed.ship(good.version, desired_count=2)
    boto3.client("ecr").batch_delete_image(repositoryName=name, imageIds=[{"imageDigest": digest}])

    lines = as_role(READER, "versions production").stdout.splitlines()

    image = lines[0].split("\t").index("image")
    states = {line.split("\t")[1]: line.split("\t")[image] for line in lines[1:]}
    assert states[good.version] == "available"
    assert states[bad.version] == "missing"
