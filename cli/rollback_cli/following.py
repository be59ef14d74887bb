"""Start a rollback that a person asks for, and follow it to its end: what `start` and `undo` have in common."""

import json
import time
import uuid
from typing import Any

import boto3
import typer
from rich.console import Console

from rollback.adapters.aws.errors import calling
from rollback.domain.request import Request, RollbackType, parse_request
from rollback.domain.rollback import Outcome, Rollback, service_of
from rollback.errors import OutsideFailure
from rollback.leases.holder import living_lease, told_of
from rollback.ports.world import World
from rollback.resources.aws.execution_failure import ExecutionFailure
from rollback.workflow.runner import Cursor
from rollback_cli import deployed, direct, lever, plain
from rollback_cli import show as look

_FINE = frozenset({Outcome.SUCCEEDED, Outcome.PLANNED})
_WITH_DATABASE = frozenset({RollbackType.DATABASE, RollbackType.FULL})


def run(environment: str, given: dict[str, Any], *, in_process: bool, yes: bool) -> None:
    """Ask for a rollback, show its report, and exit with 0 if it went well, 1 if not.

    Args:
        given: fields of the request; those that are None or False are left out.
        yes: nobody is asked whether they mean it.

    Raises:
        InvalidRequest: a field can't be understood; told before anything is started.
    """
    here = deployed.find(environment)
    fields = {name: value for name, value in given.items() if value is not None and value is not False}
    fields["requested_by"] = direct.whoami()
    request = parse_request(fields, here.settings.service_names)
    if not request.dry_run:
        _confirm(request, here.world(), yes=yes)
    console = plain.console()
    if in_process:
        cursor = direct.run_directly(fields, here.world(), lambda c: _tell(console, c))
        ended = here.world().ledger.read(service_of(cursor.rollback_id), cursor.rollback_id)
    else:
        ended = _through_step_functions(console, here, fields)
    look.rollback(console, ended, here.settings)
    raise typer.Exit(0 if ended.outcome in _FINE else 1)


def _confirm(request: Request, world: World, *, yes: bool) -> None:
    """Rule 1: a person may take a living rollback over, and is told the state of the data first."""
    lease = living_lease(request.service, world) if request.force else None
    if lease is not None:
        lever.say(told_of(lease, world))
        if not yes:
            typer.confirm("Take it over?", abort=True)
    if request.type in _WITH_DATABASE and not yes:
        lever.say(
            "The services that write to the database are stopped meanwhile. What was written since leaves it, is kept "
            "in a backup branch, and is told in the report. To see the plan first: --dry-run"
        )
        typer.confirm("Bring the database back?", abort=True)


def _tell(console: Console, cursor: Cursor) -> None:
    plain.put(console, f"{cursor.next:9} {cursor.summary}")


def _through_step_functions(console: Console, here: deployed.Deployed, given: dict[str, Any]) -> Rollback:
    """Start the state machine and follow the document; what it says is the truth, not the execution's status."""
    client = boto3.client("stepfunctions")
    name = f"cli-{uuid.uuid4()}"
    with calling("StartExecution", here.workflow_arn):
        begun = client.start_execution(stateMachineArn=here.workflow_arn, name=name, input=json.dumps(given))
    arn = begun["executionArn"]
    plain.put(console, f"started {arn}")
    ledger, last = here.world().ledger, ""
    while True:
        started = ledger.started_by(arn)
        if started is not None:
            rollback = ledger.read(*started)
            compares = "; concluded, lost writes are being compared" if rollback.owes_account else ""
            line = f"{rollback.outcome or 'open':9} {rollback.reason}{compares}"
            if line != last:
                plain.put(console, line)
                last = line
            if rollback.concluded_at is not None and not rollback.owes_account:
                return rollback
        with calling("DescribeExecution", arn):
            status = client.describe_execution(executionArn=arn)
        if status["status"] not in ("RUNNING", "SUCCEEDED") and started is None:
            failure = ExecutionFailure.read(status.get("error"), status.get("cause"))
            raise OutsideFailure(f"the execution ended as {status['status']}: {failure.text}")
        time.sleep(1)
