"""The rollback stack of an environment, read from its outputs: the command uses what the Lambda functions use."""

import os
from dataclasses import dataclass, field, replace
from typing import Any

import boto3
from botocore.exceptions import ClientError

from rollback.adapters.aws.errors import aws_call
from rollback.bootstrap import make_ports
from rollback.domain.rollback import Rollback
from rollback.domain.settings.environment import Settings
from rollback.errors import InvalidRequest
from rollback.ports.all_ports import AllPorts
from rollback.resources.database.probe import DatabaseProbe
from rollback.verification.checks.sql import InProcessDatabaseChecks


@dataclass(frozen=True)
class DeployedStack:
    """Outputs of one environment's rollback stack.

    Attributes:
        approve_function: name of the function that takes decisions; None where no rollback waits for one.
    """

    settings: Settings
    ledger_table: str
    topic_arn: str
    critical_topic_arn: str
    workflow_arn: str
    approve_function: str | None = field(default=None, kw_only=True)
    report_bucket: str | None = field(default=None, kw_only=True)

    def ports(self) -> AllPorts:
        """Make the adapters that the Lambda functions use, with the credentials of the operator.

        The database is checked in this process; without access to Neon by the database function, if that is allowed.

        Metrics are left out: the functions write them to their logs, and a terminal has no log group.
        """
        ports = make_ports(
            self.settings,
            ledger_table=self.ledger_table,
            topic_arn=self.topic_arn,
            critical_topic_arn=self.critical_topic_arn,
            workflow_arn=self.workflow_arn,
            report_bucket=self.report_bucket,
        )
        ports = replace(ports, metrics=_NullMetrics())
        return replace(ports, database_checks=InProcessDatabaseChecks(ports, otherwise=ports.database_checks))


class _NullMetrics:
    """Metrics that record nothing."""

    def record_conclusion(self, rollback: Rollback) -> None:
        """Leave the dashboard alone: a rollback in direct mode is in the ledger only."""

    def record_sweep(self) -> None:
        """Leave the count of sweeps to the janitor's function."""

    def record_readiness(self, service: str, *, is_rollback_available: bool, stale_leases: int) -> None:
        """Leave the readiness to the janitor's function."""

    def record_drill_age(self, service: str, days: float) -> None:
        """Leave the age of drills to the janitor's function."""

    def record_database(self, probe: DatabaseProbe) -> None:
        """Leave the measurements to the database function."""

    def record_deliveries(self, *, late: int) -> None:
        """Leave the count of late deliveries to the janitor's function."""


def stack_name(environment: str) -> str:
    """Return `MacroAi<Env>RollbackStack`, or the name in the variable ROLLBACK_STACK."""
    return os.environ.get("ROLLBACK_STACK") or f"MacroAi{environment.capitalize()}RollbackStack"


def find_deployment(environment: str) -> DeployedStack:
    """Read the outputs of an environment's rollback stack.

    Raises:
        InvalidRequest: the stack doesn't exist, or is of another version.
        ExternalServiceError: AWS doesn't answer (credentials, region, network).
    """
    name = stack_name(environment)
    with aws_call("DescribeStacks", name):
        try:
            pages = boto3.client("cloudformation").get_paginator("describe_stacks").paginate(StackName=name)
            stacks = [stack for page in pages for stack in page["Stacks"]]
        except ClientError as error:
            if "does not exist" in str(error):
                raise InvalidRequest(
                    f"there is no stack {name} in this account and region; deploy it with `cdk deploy {name}`, or set "
                    "AWS_REGION and AWS_PROFILE to the region and account that have it"
                ) from error
            raise
    return from_outputs({o["OutputKey"]: o["OutputValue"] for o in stacks[0].get("Outputs", ())}, name)


def from_outputs(outputs: dict[str, Any], name: str) -> DeployedStack:
    """Parse the outputs of a rollback stack.

    Raises:
        InvalidRequest: an output is missing: the stack is of another version.
    """
    try:
        return DeployedStack(
            settings=Settings.model_validate_json(outputs["Settings"]),
            ledger_table=outputs["LedgerTable"],
            topic_arn=outputs["TopicArn"],
            critical_topic_arn=outputs["CriticalTopicArn"],
            workflow_arn=outputs["WorkflowArn"],
            approve_function=outputs.get("ApproveFunctionName"),
            report_bucket=outputs.get("ReportBucket"),
        )
    except KeyError as error:
        raise InvalidRequest(f"stack {name} has no output {error}; deploy this version of the stack first") from error
