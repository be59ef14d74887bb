"""The rollback stack of an environment, read from its outputs: the command uses what the Lambda functions use."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, cast

from rollback_cli.saved_outputs import load_outputs, save_outputs
from rollback_cli.shell import names_cache
from rollback_cli.shell.aws_session import AwsSession, make_client
from rollback_cli.shell.common_options import common_options

if TYPE_CHECKING:
    import boto3

    from rollback.domain.rollback import Rollback
    from rollback.domain.settings.environment import Settings
    from rollback.errors import ExternalServiceError, InvalidRequest
    from rollback.ports.all_ports import AllPorts
    from rollback.resources.database.probe import DatabaseProbe

# The imports inside functions take a second together. `find_deployment` asks AWS before it needs them: an operator
# without credentials or with a typo gets the answer at once.

_GUARD_PREFIX = "Rollback"  # first part of the names of a RollbackGuard's outputs


@dataclass(frozen=True)
class DeployedStack:
    """Outputs of one environment's rollback stack.

    Attributes:
        approve_function: name of the function that takes decisions; None where no rollback waits for one.
        version: version of this product that deployed the stack; None: one that has no such output.
    """

    settings: "Settings"
    ledger_table: str
    topic_arn: str
    critical_topic_arn: str
    workflow_arn: str
    approve_function: str | None = field(default=None, kw_only=True)
    report_bucket: str | None = field(default=None, kw_only=True)
    version: str | None = field(default=None, kw_only=True)

    def ports(self) -> "AllPorts":
        """Make the adapters that the Lambda functions use, with the credentials of the operator.

        The database is checked in this process; without access to Neon by the database function, if that is allowed.

        Metrics are left out: the functions write them to their logs, and a terminal has no log group.
        """
        from rollback.bootstrap import make_ports  # noqa: PLC0415
        from rollback.drivers.all import ALL_DRIVERS  # noqa: PLC0415
        from rollback.verification.checks.sql import InProcessDatabaseChecks  # noqa: PLC0415

        ports = make_ports(
            self.settings,
            ledger_table=self.ledger_table,
            topic_arn=self.topic_arn,
            critical_topic_arn=self.critical_topic_arn,
            workflow_arn=self.workflow_arn,
            report_bucket=self.report_bucket,
            session=cast("boto3.Session", AwsSession()),
            drivers=ALL_DRIVERS,
        )
        ports = replace(ports, metrics=_NullMetrics())
        return replace(ports, database_checks=InProcessDatabaseChecks(ports, otherwise=ports.database_checks))


class _NullMetrics:
    """Metrics that record nothing."""

    def record_conclusion(self, rollback: "Rollback") -> None:
        """Leave the dashboard alone: a rollback in direct mode is in the ledger only."""

    def record_sweep(self) -> None:
        """Leave the count of sweeps to the janitor's function."""

    def record_readiness(self, service: str, *, is_rollback_available: bool, stale_leases: int) -> None:
        """Leave the readiness to the janitor's function."""

    def record_drill_age(self, service: str, days: float) -> None:
        """Leave the age of drills to the janitor's function."""

    def record_database(self, probe: "DatabaseProbe") -> None:
        """Leave the measurements to the database function."""

    def record_deliveries(self, *, late: int) -> None:
        """Leave the count of late deliveries to the janitor's function."""


def stack_name(environment: str) -> str:
    """Return the name in the option `--stack` or in the variable ROLLBACK_STACK, or `MacroAi<Env>RollbackStack`."""
    stem = environment.title().replace("-", "")  # as `rollback_constructs.settings.environment.stack_names` makes it
    return common_options.stack or os.environ.get("ROLLBACK_STACK") or f"MacroAi{stem}RollbackStack"


def find_deployment(environment: str) -> DeployedStack:
    """Read the outputs of an environment's rollback stack, and keep a copy of them on this machine.

    While CloudFormation refuses or gives no answer, the copy of an earlier command is used, and its age is printed.

    Raises:
        InvalidRequest: the stack doesn't exist, or is of another version.
        ExternalServiceError: AWS doesn't answer (credentials, region, network), and there is no copy of the outputs.
    """
    name = stack_name(environment)
    try:
        outputs = _read_outputs(environment, name)
    except _external_service_error() as failure:
        return _from_copy(name, failure)
    deployment = from_outputs(outputs, name)
    save_outputs(name, outputs)
    names_cache.remember(
        environment, account=_account_in(deployment.topic_arn), services=deployment.settings.service_names
    )
    return deployment


def _read_outputs(environment: str, name: str) -> dict[str, Any]:
    """Ask CloudFormation for the outputs of a stack.

    Raises:
        InvalidRequest: the stack doesn't exist.
        ExternalServiceError: CloudFormation refuses, or gives no answer.
    """
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    try:
        # Without an answer the saved copy of the outputs is used, so that nothing waits for minutes.
        client = make_client("cloudformation", read_timeout=10)
        pages = client.get_paginator("describe_stacks").paginate(StackName=name)
        stacks = [stack for page in pages for stack in page["Stacks"]]
    except (BotoCoreError, ClientError) as error:
        from rollback.adapters.aws.errors import aws_call  # noqa: PLC0415

        if "does not exist" in str(error):
            raise _no_stack(environment, name) from error
        with aws_call("DescribeStacks", name):
            raise
    return {o["OutputKey"]: o["OutputValue"] for o in stacks[0].get("Outputs", ())}


def _external_service_error() -> "type[ExternalServiceError]":
    """Return the class. Python evaluates the expression behind `except` only once an error was raised."""
    from rollback.errors import ExternalServiceError  # noqa: PLC0415

    return ExternalServiceError


def _from_copy(name: str, failure: "ExternalServiceError") -> DeployedStack:
    """Use the outputs that an earlier command saved, and say so.

    Raises:
        ExternalServiceError: this machine has no copy for the account, region and endpoint.
    """
    from rollback.errors import CallRefused, ExternalServiceError, RefusalKind, Throttled  # noqa: PLC0415
    from rollback_cli.terminal_text import make_console, print_paragraph  # noqa: PLC0415

    if isinstance(failure, CallRefused) and failure.kind is RefusalKind.CREDENTIALS:
        raise failure
    saved = load_outputs(name)
    if saved is None and isinstance(failure, CallRefused | Throttled):
        raise failure
    if saved is None:
        raise ExternalServiceError(
            f"{failure}; and no earlier command on this machine saved the outputs of stack {name} for this account and "
            "region. Run the command on a machine that has used `rollback` for this environment, or roll back with "
            "`aws ecs update-service --cluster CLUSTER --service SERVICE --task-definition ARN`"
        ) from failure
    age = saved.describe_age(datetime.now(UTC))
    print_paragraph(f"CloudFormation can't be asked, so this command uses {age}", make_console(stderr=True))
    print_paragraph(f"CloudFormation's answer: {failure}", make_console(stderr=True))
    return from_outputs(saved.outputs, name)


def _no_stack(environment: str, name: str) -> "InvalidRequest":
    """Return the error for an environment whose stack AWS does not have in this account and region."""
    from rollback.errors import InvalidRequest  # noqa: PLC0415
    from rollback.text import one_line  # noqa: PLC0415

    account, known = _own_account(), names_cache.account_of(environment)
    if account and known and account != known:
        return InvalidRequest(
            f"there is no stack {name} in account {account}: {environment} was last found in account {known}; "
            f"set AWS_PROFILE to a profile of account {known}"
        )
    place = f"in account {account} and this region" if account else "in this account and region"
    close = get_close_matches(environment, [e for e in names_cache.environments() if e != environment], n=1)
    hint = f" (did you mean {close[0]!r}?)" if close and environment not in names_cache.environments() else ""
    return InvalidRequest(
        f"there is no stack {name} {place}{one_line(hint)}; deploy it with `cdk deploy {name}`, or set AWS_REGION and "
        "AWS_PROFILE to the region and account that have it"
    )


def _own_account() -> str:
    """Return the account of the credentials; empty if AWS does not say."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    try:
        return str(make_client("sts").get_caller_identity()["Account"])
    except (BotoCoreError, ClientError):
        return ""


def _account_in(arn: str) -> str:
    parts = arn.split(":")
    return parts[4] if len(parts) > 5 else ""


def from_outputs(outputs: Mapping[str, Any], name: str) -> DeployedStack:
    """Parse the outputs of a rollback stack, or those of a `RollbackGuard` in the stack of an importing app.

    Raises:
        InvalidRequest: an output is missing, or its settings can't be read: the stack is of another version.
    """
    from pydantic import ValidationError  # noqa: PLC0415

    from rollback.domain.settings.packed import parse_settings  # noqa: PLC0415
    from rollback.errors import InvalidRequest  # noqa: PLC0415

    prefix = _GUARD_PREFIX if f"{_GUARD_PREFIX}Settings" in outputs else ""
    try:
        return DeployedStack(
            settings=parse_settings(outputs[f"{prefix}Settings"]),
            ledger_table=outputs[f"{prefix}LedgerTable"],
            topic_arn=outputs[f"{prefix}TopicArn"],
            critical_topic_arn=outputs[f"{prefix}CriticalTopicArn"],
            workflow_arn=outputs[f"{prefix}WorkflowArn"],
            approve_function=outputs.get(f"{prefix}ApproveFunctionName"),
            report_bucket=outputs.get(f"{prefix}ReportBucket"),
            version=outputs.get(f"{prefix}Version"),
        )
    except KeyError as error:
        raise InvalidRequest(f"stack {name} has no output {error}; deploy this version of the stack first") from error
    except ValidationError as error:
        defect = error.errors(include_url=False, include_input=False, include_context=False)[0]
        raise InvalidRequest(
            f"stack {name} has settings that this version of the command can't read "
            f"({'.'.join(map(str, defect['loc']))}: {defect['msg']}); use the version that deployed the stack, "
            "or deploy this version of the stack first"
        ) from error
    except ValueError as error:
        raise InvalidRequest(f"stack {name}: {error}") from error
