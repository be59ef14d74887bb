"""Start a rollback that an operator asks for, and follow it to its end, for `start` and `undo`."""

import json
import time
import uuid
from typing import Any

import boto3
import typer
from botocore.exceptions import ClientError
from rich.console import Console

from rollback.adapters.aws.errors import aws_call, code_of
from rollback.domain.drills.eligibility import why_not_allowed
from rollback.domain.request import Request, RollbackType, parse_request
from rollback.domain.rollback import Outcome, Rollback, service_of
from rollback.errors import ExternalServiceError, InvalidRequest
from rollback.leases.holder import describe_holder, find_live_lease
from rollback.ports.all_ports import AllPorts
from rollback.resources.aws.execution_failure import ExecutionFailure
from rollback.workflow.runner import Cursor
from rollback_cli import deployed_stack, direct_mode, requester
from rollback_cli.display import print_report
from rollback_cli.sign_proof import with_proof
from rollback_cli.terminal_text import make_console, print_paragraph

_SUCCESS_OUTCOMES = frozenset({Outcome.SUCCEEDED, Outcome.PLANNED})
_DATABASE_TYPES = frozenset({RollbackType.DATABASE, RollbackType.FULL})


def start_and_follow(
    environment: str, options: dict[str, Any], *, in_process: bool, yes: bool, follow: bool = True
) -> None:
    """Start a rollback, print its progress and its report, and exit with 0 if it succeeded, 1 if not.

    Args:
        environment: name of the environment, such as `production`.
        options: fields of the request; an option that is None or False is left out.
        in_process: run the steps in this process, without Step Functions.
        yes: start without asking the operator for confirmation.
        follow: wait for the end; otherwise return once Step Functions has started the execution.

    Raises:
        InvalidRequest: a field is not valid; nothing was started.
        ExternalServiceError: AWS did not answer, or the execution failed before it had a record.
    """
    deployment = deployed_stack.find_deployment(environment)
    fields = {name: value for name, value in options.items() if value is not None and value is not False}
    fields["requested_by"] = requester.requester_name()
    if follow and requester.is_at_terminal():
        fields["is_attended"] = True
    request = parse_request(fields, deployment.settings.service_names)
    why_no_drill = why_not_allowed(request, deployment.settings) if request.drill else None
    if why_no_drill is not None:
        raise InvalidRequest(f"no drill was started: {why_no_drill}; nothing was changed")
    if not request.dry_run:
        _confirm(request, deployment.ports(), yes=yes)
    console = make_console()
    if in_process:
        cursor = direct_mode.run_directly(
            fields, deployment.ports(), lambda c: _print_cursor(console, c), add_proof=with_proof
        )
        rollback = deployment.ports().ledger.read(service_of(cursor.rollback_id), cursor.rollback_id)
    else:
        name = f"cli-{uuid.uuid4()}"
        if not follow:
            start_execution(console, deployment, with_proof(fields, name), name)
            print_paragraph(f"to see its result: rollback history {environment}", console)
            return
        rollback = run_in_step_functions(console, deployment, with_proof(fields, name), name)
    print_report(console, rollback, deployment.settings)
    raise typer.Exit(0 if rollback.outcome in _SUCCESS_OUTCOMES else 1)


def _confirm(request: Request, ports: AllPorts, *, yes: bool) -> None:
    """Ask before a takeover and before a database rollback.

    Rule 1: an operator may take over a live rollback; the command first prints the state of the data.
    """
    lease = find_live_lease(request.service, ports) if request.force else None
    if lease is not None:
        print_paragraph(describe_holder(lease, ports))
        if not yes:
            typer.confirm("Take over the rollback in progress?", abort=True)
    if request.type in _DATABASE_TYPES and not yes:
        print_paragraph(
            "The rollback stops the services that write to the database while the database changes. Rows written since "
            "the restore point leave the branch; a backup branch keeps them, and the report lists them. To see the "
            "plan first, add --dry-run"
        )
        typer.confirm("Roll the database back?", abort=True)


def _print_cursor(console: Console, cursor: Cursor) -> None:
    print_paragraph(f"{cursor.next.replace('_', ' '):9} {cursor.summary}", console)


def run_in_step_functions(
    console: Console, deployment: deployed_stack.DeployedStack, execution_input: dict[str, Any], name: str
) -> Rollback:
    """Start the state machine and follow the rollback's document in the ledger.

    The document decides, not the status of the execution. An execution of that name that was started before is
    followed: Step Functions keeps a name for 90 days.
    """
    client = boto3.client("stepfunctions")
    arn = start_execution(console, deployment, execution_input, name)
    ledger, printed_line = deployment.ports().ledger, ""
    while True:
        key = ledger.find_by_execution(arn)
        if key is not None:
            rollback = ledger.read(*key)
            line = _progress_line(rollback)
            if line != printed_line:
                print_paragraph(line, console)
                printed_line = line
            if rollback.concluded_at is not None and not rollback.is_data_loss_report_due:
                return rollback
        with aws_call("DescribeExecution", arn):
            execution = client.describe_execution(executionArn=arn)
        if execution["status"] not in ("RUNNING", "SUCCEEDED") and key is None:
            failure = ExecutionFailure.read(execution.get("error"), execution.get("cause"))
            if failure.error == InvalidRequest.__name__:
                raise InvalidRequest(failure.text)
            raise ExternalServiceError(
                f"execution {arn} ended as {execution['status']} before the rollback was recorded: {failure.text}"
            )
        time.sleep(1)


def start_execution(
    console: Console, deployment: deployed_stack.DeployedStack, execution_input: dict[str, Any], name: str
) -> str:
    """Start the state machine, or find the execution of that name, and return its ARN."""
    with aws_call("StartExecution", deployment.workflow_arn):
        try:
            answer = boto3.client("stepfunctions").start_execution(
                stateMachineArn=deployment.workflow_arn, name=name, input=json.dumps(execution_input)
            )
        except ClientError as error:
            if code_of(error) != "ExecutionAlreadyExists":
                raise
            arn = f"{deployment.workflow_arn.replace(':stateMachine:', ':execution:', 1)}:{name}"
            print_paragraph(f"started before: {arn}", console)
            return arn
    print_paragraph(f"started {answer['executionArn']}", console)
    return answer["executionArn"]


def _progress_line(rollback: Rollback) -> str:
    data_loss_note = "; concluded, the data loss report follows" if rollback.is_data_loss_report_due else ""
    return f"{rollback.outcome or 'open':9} {rollback.reason}{data_loss_note}"
