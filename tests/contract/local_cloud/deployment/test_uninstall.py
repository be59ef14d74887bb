"""Uninstallation by docs/uninstall.md: what the deletion of the stack leaves, and how the rest is deleted.

The stack is deployed in the embedded cloud, with everything that has a retained resource of its own.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from botocore.exceptions import ClientError
from constructs.conftest import DATABASES, _assembly
from previous_release.fixture import upgraded_context

from local_cloud.deployment.deploy import deploy_assembly
from local_cloud.deployment.server import LocalCloud
from local_cloud.listing import list_all
from rollback_constructs.functions.sources import PROJECT

STACK = "MacroAiProductionRollbackStack"
TABLE = "macro-ai-production-rollback-ledger"
PAGE = (PROJECT / "docs" / "uninstall.md").read_text()


def _resources(cloud: LocalCloud) -> dict[str, str]:
    """Map each resource of the stack to its type, by its physical id."""
    listed = list_all(cloud.client("cloudformation"), "list_stack_resources", "StackResourceSummaries", StackName=STACK)
    return {one["PhysicalResourceId"]: one["ResourceType"] for one in listed}


def _remaining(cloud: LocalCloud) -> set[str]:
    """Names of the tables, buckets of reports, log groups, functions, alarms, topics, queues and state machines."""
    calls = [
        ("dynamodb", "list_tables", "TableNames", None),
        ("logs", "describe_log_groups", "logGroups", "logGroupName"),
        ("lambda", "list_functions", "Functions", "FunctionName"),
        ("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
        ("cloudwatch", "describe_alarms", "CompositeAlarms", "AlarmName"),
        ("sns", "list_topics", "Topics", "TopicArn"),
        ("sqs", "list_queues", "QueueUrls", None),
        ("stepfunctions", "list_state_machines", "stateMachines", "name"),
        ("events", "list_rules", "Rules", "Name"),
    ]
    found: set[str] = set()
    for service, operation, member, name in calls:
        for item in list_all(cloud.client(service), operation, member):
            found.add(str(item[name] if name is not None else item))
    return {name for name in found if "macro-ai-production" in name}


@pytest.fixture
def bucket(cloud: LocalCloud) -> Iterator[str]:
    """Bucket of reports of a deployed stack; nothing of the stack is left afterwards."""
    context = upgraded_context("existing")
    context["environments"]["production"] |= {
        "database": DATABASES["production"],
        "approval": {"required_for": ["forced"], "approvers": ["arn:aws:iam::*:role/on-call"]},
        "triggers": {"janitor_minutes": 120},  # the functions are not to run here
    }
    for name in [name for name in _remaining(cloud) if name.startswith("/aws/")]:  # another test in this process left them
        cloud.client("logs").delete_log_group(logGroupName=name)
    outputs = deploy_assembly(cloud, _assembly(context), [STACK])[STACK]
    yield outputs["ReportBucket"]
    with suppress(ClientError):
        cloud.client("dynamodb").delete_table(TableName=TABLE)


def _documented() -> set[str]:
    return set(re.findall(r"^\| (?:table, with deletion protection|log group) \| `([^`]+)` \|$", PAGE, re.MULTILINE))


def test_the_page_lists_all_that_the_deletion_of_the_stack_leaves(cloud: LocalCloud, bucket: str) -> None:
    cloudformation, dynamodb, logs = (cloud.client(name) for name in ("cloudformation", "dynamodb", "logs"))
    assert len(_remaining(cloud)) > len(_documented())
    resources = _resources(cloud)

    cloudformation.update_termination_protection(StackName=STACK, EnableTerminationProtection=False)
    cloudformation.delete_stack(StackName=STACK)

    assert _remaining(cloud) == _documented()
    assert bucket in _buckets(cloud)
    assert [one for one in resources.values() if one == "AWS::S3::Bucket"] == ["AWS::S3::Bucket"]
    with pytest.raises(ClientError, match="DeletionProtectionEnabled"):
        dynamodb.delete_table(TableName=TABLE)
    dynamodb.update_table(TableName=TABLE, DeletionProtectionEnabled=False)
    dynamodb.delete_table(TableName=TABLE)
    for group in _documented() - {TABLE}:
        logs.delete_log_group(logGroupName=group)
    cloud.client("s3").delete_bucket(Bucket=bucket)
    assert (_remaining(cloud), bucket in _buckets(cloud)) == (set(), False)


def _buckets(cloud: LocalCloud) -> set[Any]:
    return {one["Name"] for one in list_all(cloud.client("s3"), "list_buckets", "Buckets")}
