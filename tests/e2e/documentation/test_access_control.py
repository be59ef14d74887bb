"""The policies of docs/runbooks/access-control.md, tried by roles that have them and nothing else."""

import contextlib
import json
import re
from typing import Any

import boto3
import pytest
from documentation.pages import ROOT, blocks_of
from e2e.live import DeployedEnvironment, wait_for
from e2e.processes import ROLLBACK, run

pytestmark = pytest.mark.e2e
PAGE = ROOT / "docs" / "runbooks" / "access-control.md"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}],
}
_ID = re.compile(r"express-api-\d{8}T\d{9}Z-[0-9a-f]{8}")


def policies() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the policies of a reader and of an operator."""
    reader, operator = (json.loads(block.text) for block in blocks_of(PAGE) if block.language == "json")
    return reader, operator


def type_as(cloud: dict[str, str], role: str, documents: tuple[dict[str, Any], ...], *words: str) -> tuple[int, str]:
    """Type a command as a role with these policies; return exit code and output."""
    iam, sts = boto3.Session().client("iam"), boto3.Session().client("sts")
    with contextlib.suppress(iam.exceptions.EntityAlreadyExistsException):
        iam.create_role(RoleName=role, AssumeRolePolicyDocument=json.dumps(TRUST))
    for number, document in enumerate(documents):
        iam.put_role_policy(RoleName=role, PolicyName=f"policy-{number}", PolicyDocument=json.dumps(document))
    assumed = sts.assume_role(RoleArn=f"arn:aws:iam::123456789012:role/{role}", RoleSessionName="ada")["Credentials"]
    credentials = {
        "AWS_ACCESS_KEY_ID": assumed["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": assumed["SecretAccessKey"],
        "AWS_SESSION_TOKEN": assumed["SessionToken"],
    }
    process = run([ROLLBACK, *words], {**cloud, **credentials})
    return process.returncode, process.stdout


def is_denied(output: str) -> bool:
    return re.search(r"AccessDenied|not authorized|may not|permission", output, re.IGNORECASE) is not None


def test_a_reader_reads_all_and_changes_nothing(cloud: dict[str, str], deployed: DeployedEnvironment) -> None:
    reader, _ = policies()
    running = deployed.running_digests()
    started = run([ROLLBACK, "start", "production", "--dry-run", "--yes"], cloud)
    match = _ID.search(started.stdout)
    assert match is not None, started.stdout
    rollback_id = match.group()
    of_the_environment = [(verb, "production") for verb in ("status", "versions", "history", "metrics")]
    of_the_rollback = [(verb, "production", rollback_id) for verb in ("show", "report")]
    for words in [*of_the_environment, *of_the_rollback]:
        code, output = type_as(cloud, "reader", (reader,), *words)
        assert (code, is_denied(output)) == (0, False), output
    for change in (("pause", "production", "--reason", "try"), ("start", "production", "--yes")):
        code, output = type_as(cloud, "reader", (reader,), *change)
        assert code != 0, output
        assert is_denied(output), output
    assert deployed.running_digests() == running


def test_an_operator_starts_and_records_and_decides_nothing_else(
    cloud: dict[str, str], deployed: DeployedEnvironment
) -> None:
    documents = policies()
    running = deployed.running_digests()
    for words in (
        ("pause", "production", "--reason", "try"),
        ("resume", "production", "--reason", "try"),
    ):
        code, output = type_as(cloud, "operator", documents, *words)
        assert (code, is_denied(output)) == (0, False), output
    _, output = type_as(cloud, "operator", documents, "start", "production", "--dry-run", "--yes")
    assert _ID.search(output), output
    assert not is_denied(output), output
    wait_for(lambda: all(rollback.concluded_at is not None for rollback in deployed.history()) or None)
    assert deployed.running_digests() == running
