"""Start a rollback that a person asks for, and follow it to its end: what `start` and `undo` have in common."""

import json
import time
import uuid
from typing import Any

import boto3
import typer
from rich.console import Console

from rollback.adapters.aws.errors import aws_call
from rollback.domain.request import Request, RollbackType, parse_request
from rollback.domain.rollback import Outcome, Rollback, service_of
from rollback.errors import ExternalServiceError
from rollback.leases.holder import describe_holder, find_live_lease
from rollback.ports.world import World
from rollback.resources.aws.execution_failure import ExecutionFailure
from rollback.workflow.runner import Cursor
from rollback_cli import deployed, direct, lever, plain
from rollback_cli import show as display

_SUCCESS_OUTCOMES = frozenset({Outcome.SUCCEEDED, Outcome.PLANNED})
_DATABASE_TYPES = frozenset({RollbackType.DATABASE, RollbackType.FULL})


def run(environment: str, given: dict[str, Any], *, in_process: bool, yes: bool) -> None:
    """Ask for a rollback, show its report, and exit with 0 if it went well, 1 if not.

    Args:
        given: fields of the request; those that are None or False are left out.
        yes: nobody is asked whether they mean it.

    Raises:
        InvalidRequest: a field can't be understood; told before anything is started.
    """
    deployment = deployed.find(environment)
    fields = {name: value for name, value in given.items() if value is not None and value is not False}
    fields["requested_by"] = direct.whoami()
    request = parse_request(fields, deployment.settings.service_names)
    if not request.dry_run:
        _confirm(request, deployment.world(), yes=yes)
    console = plain.console()
    if in_process:
        cursor = direct.run_directly(fields, deployment.world(), lambda c: _print_cursor(console, c))
        ended = deployment.world().ledger.read(service_of(cursor.rollback_id), cursor.rollback_id)
    else:
        ended = _run_in_step_functions(console, deployment, fields)
    display.rollback(console, ended, deployment.settings)
    raise typer.Exit(0 if ended.outcome in _SUCCESS_OUTCOMES else 1)


def _confirm(request: Request, world: World, *, yes: bool) -> None:
    """Rule 1: a person may take a living rollback over, and is told the state of the data first."""
    lease = find_live_lease(request.service, world) if request.force else None
    if lease is not None:
        lever.print_paragraph(describe_holder(lease, world))
        if not yes:
            typer.confirm("Take it over?", abort=True)
    if request.type in _DATABASE_TYPES and not yes:
        lever.print_paragraph(
            "The services that write to the database are stopped meanwhile. What was written since leaves it, is kept "
            "in a backup branch, and is told in the report. To see the plan first: --dry-run"
        )
        typer.confirm("Bring the database back?", abort=True)


def _print_cursor(console: Console, cursor: Cursor) -> None:
    plain.print_plain(console, f"{cursor.next:9} {cursor.summary}")


def _run_in_step_functions(console: Console, deployment: deployed.Deployed, given: dict[str, Any]) -> Rollback:
    """Start the state machine and follow the document; what it says is the truth, not the execution's status."""
    client = boto3.client("stepfunctions")
    name = f"cli-{uuid.uuid4()}"
    with aws_call("StartExecution", deployment.workflow_arn):
        begun = client.start_execution(stateMachineArn=deployment.workflow_arn, name=name, input=json.dumps(given))
    arn = begun["executionArn"]
    plain.print_plain(console, f"started {arn}")
    ledger, last = deployment.world().ledger, ""
    while True:
        started = ledger.find_by_execution(arn)
        if started is not None:
            rollback = ledger.read(*started)
            compares = "; concluded, lost writes are being compared" if rollback.is_data_loss_report_due else ""
            line = f"{rollback.outcome or 'open':9} {rollback.reason}{compares}"
            if line != last:
                plain.print_plain(console, line)
                last = line
            if rollback.concluded_at is not None and not rollback.is_data_loss_report_due:
                return rollback
        with aws_call("DescribeExecution", arn):
            status = client.describe_execution(executionArn=arn)
        if status["status"] not in ("RUNNING", "SUCCEEDED") and started is None:
            failure = ExecutionFailure.read(status.get("error"), status.get("cause"))
            raise ExternalServiceError(f"the execution ended as {status['status']}: {failure.text}")
        time.sleep(1)
