"""What is deployed: an environment's rollback stack, read from its outputs, so that command and functions agree."""

import os
from dataclasses import dataclass, replace
from typing import Any

import boto3
from botocore.exceptions import ClientError

from rollback.adapters.aws.errors import aws_call
from rollback.bootstrap import make_ports
from rollback.domain.rollback import Rollback
from rollback.domain.settings.environment import Settings
from rollback.errors import InvalidRequest
from rollback.ports.world import World


@dataclass(frozen=True)
class Deployed:
    """One environment's rollback system."""

    settings: Settings
    ledger_table: str
    topic_arn: str
    critical_topic_arn: str
    workflow_arn: str

    def world(self) -> World:
        """The same adapters that the functions use, with the caller's own credentials.

        But for the metrics: the functions write them into their log, and a terminal is none.
        """
        world = make_ports(
            self.settings,
            ledger_table=self.ledger_table,
            topic_arn=self.topic_arn,
            critical_topic_arn=self.critical_topic_arn,
            workflow_arn=self.workflow_arn,
        )
        return replace(world, metrics=_NullMetrics())


class _NullMetrics:
    """Metrics of nothing."""

    def record_conclusion(self, rollback: Rollback) -> None:
        """Rollbacks in direct mode are in the ledger, but not on the dashboard."""

    def record_sweep(self) -> None:
        """The janitor's function counts its own rounds."""

    def record_readiness(self, service: str, *, is_rollback_available: bool, stale_leases: int) -> None:
        """So does it with what it sees."""


def stack_name(environment: str) -> str:
    """`MacroAi<Env>RollbackStack`; ROLLBACK_STACK names another."""
    return os.environ.get("ROLLBACK_STACK") or f"MacroAi{environment.capitalize()}RollbackStack"


def find(environment: str) -> Deployed:
    """Read the outputs of an environment's rollback stack.

    Raises:
        InvalidRequest: the stack is not there, or is of another version.
        ExternalServiceError: AWS can't be asked (credentials, region, network).
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
                    "AWS_REGION and AWS_PROFILE to where it is"
                ) from error
            raise
    return from_outputs({o["OutputKey"]: o["OutputValue"] for o in stacks[0].get("Outputs", ())}, name)


def from_outputs(outputs: dict[str, Any], name: str) -> Deployed:
    """The stack's outputs, typed."""
    try:
        return Deployed(
            settings=Settings.model_validate_json(outputs["Settings"]),
            ledger_table=outputs["LedgerTable"],
            topic_arn=outputs["TopicArn"],
            critical_topic_arn=outputs["CriticalTopicArn"],
            workflow_arn=outputs["WorkflowArn"],
        )
    except KeyError as missing:
        raise InvalidRequest(f"stack {name} has no output {missing}; deploy this version of it first") from missing
