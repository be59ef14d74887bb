"""`rollback start ENV`: start a rollback and follow it to its end."""

import json
import time
import uuid
from typing import Annotated, Any

import boto3
import typer
from rich.console import Console

from rollback.model.errors import OutsideFailure
from rollback.model.request import parse_request
from rollback.model.rollback import Outcome, Rollback, service_of
from rollback.steps.holder import living_lease, told_of
from rollback.steps.ports import World
from rollback.steps.walk import Cursor
from rollback_cli import deployed, direct, lever
from rollback_cli import show as look

_FINE = frozenset({Outcome.SUCCEEDED, Outcome.PLANNED})


def start(
    environment: str,
    type: Annotated[
        str, typer.Option(help="service, or emergency: straight to ECS (database, full: not available yet)")
    ] = "service",
    service: lever.Service = None,
    target_version: Annotated[str | None, typer.Option(help="default: the last known good")] = None,
    force: Annotated[
        bool, typer.Option(help="override the checks that may be overridden, and take a rollback over that is going on")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="with --force: take it over without asking")] = False,
    dry_run: Annotated[bool, typer.Option(help="plan and report; change nothing")] = False,
    reason: Annotated[str, typer.Option(help="for the record")] = "",
    in_process: Annotated[bool, typer.Option("--direct", help="without Step Functions, in this process")] = False,
) -> None:
    """Put a service back on its last known good release, or on the one that is named."""
    console = Console()
    here = deployed.find(environment)
    given: dict[str, Any] = {"type": type, "force": force, "dry_run": dry_run, "reason": reason}
    given |= {"service": service} if service else {}
    given |= {"target_version": target_version} if target_version else {}
    given["requested_by"] = direct.whoami()
    request = parse_request(given, here.settings.service_names)  # a typo is told here, before anything is started
    if force and not dry_run:
        _confirm_take_over(request.service, here.world(), yes=yes)
    if in_process:
        cursor = direct.run_directly(given, here.world(), lambda c: _tell(console, c))
        ended = here.world().ledger.read(service_of(cursor.rollback_id), cursor.rollback_id)
    else:
        ended = _through_step_functions(console, here, given)
    look.rollback(console, ended, here.settings)
    raise typer.Exit(0 if ended.outcome in _FINE else 1)


def _confirm_take_over(service_name: str, world: World, *, yes: bool) -> None:
    """Rule 1: a person may take a living rollback over, and is told the state of the data first."""
    lease = living_lease(service_name, world)
    if lease is None:
        return
    lever.say(told_of(lease, world))
    if not yes:
        typer.confirm("Take it over?", abort=True)


def _tell(console: Console, cursor: Cursor) -> None:
    console.print(f"{cursor.next:9} {cursor.summary}", highlight=False, soft_wrap=True)


def _through_step_functions(console: Console, here: deployed.Deployed, given: dict[str, Any]) -> Rollback:
    """Start the state machine and follow the document; what it says is the truth, not the execution's status."""
    client = boto3.client("stepfunctions")
    name = f"cli-{uuid.uuid4()}"
    arn = client.start_execution(stateMachineArn=here.workflow_arn, name=name, input=json.dumps(given))["executionArn"]
    console.print(f"started {arn}", highlight=False, soft_wrap=True)
    ledger, last = here.world().ledger, ""
    while True:
        mine = [r for s in here.settings.service_names for r in ledger.history(s) if r.execution == arn]
        if mine:
            rollback = mine[0]
            line = f"{rollback.outcome or 'open':9} {rollback.reason}"
            if line != last:
                console.print(line, highlight=False, soft_wrap=True)
                last = line
            if rollback.concluded_at is not None:
                return rollback
        status = client.describe_execution(executionArn=arn)
        if status["status"] not in ("RUNNING", "SUCCEEDED") and not mine:
            raise OutsideFailure(f"the execution ended as {status['status']}: {status.get('cause', 'no cause given')}")
        time.sleep(1)
