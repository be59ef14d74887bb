"""Start a rollback that an operator asks for, and follow it to its end, for `start` and `undo`."""

import json
import uuid
from typing import Any

import typer
from botocore.exceptions import ClientError
from rich.console import Console

from rollback.adapters.aws.errors import aws_call, code_of
from rollback.domain.drills.eligibility import why_not_allowed
from rollback.domain.releases.release_names import find_release
from rollback.domain.request import Request, RollbackType, parse_request
from rollback.domain.rollback import Rollback
from rollback.errors import ExternalServiceError, InvalidRequest
from rollback.identity.candidates import find_releases_by_name
from rollback.leases.holder import describe_holder, find_live_lease
from rollback.names import SYNONYMS_OF_LAST_KNOWN_GOOD
from rollback.ports.all_ports import AllPorts
from rollback.resources.aws.execution_failure import ExecutionFailure
from rollback.text import quoted
from rollback_cli import deployed_stack, requester
from rollback_cli.direct.follow import follow_directly
from rollback_cli.display import print_report
from rollback_cli.github_actions import step_outputs
from rollback_cli.progress.follow import follow, pause, remember_rollback, stop_watching_on_interrupt
from rollback_cli.shell.aws_session import make_client
from rollback_cli.shell.exit_codes import exit_code_of
from rollback_cli.sign_proof import with_proof
from rollback_cli.terminal_text import make_console, print_paragraph

_DATABASE_TYPES = frozenset({RollbackType.DATABASE, RollbackType.FULL})


def start_and_follow(
    environment: str, options: dict[str, Any], *, in_process: bool, yes: bool, wait: bool = True
) -> None:
    """Start a rollback, print its progress and its report, and exit with the code of its outcome.

    Args:
        environment: name of the environment, such as `production`.
        options: fields of the request; an option that is None or False is left out.
        in_process: run the steps in this process, without Step Functions.
        yes: start without asking the operator for confirmation.
        wait: wait for the end; otherwise return once the ledger has the rollback.

    Raises:
        InvalidRequest: a field is not valid; nothing was started.
        ExternalServiceError: AWS did not answer, or the execution failed before it had a record.
    """
    deployment = deployed_stack.find_deployment(environment)
    fields = {name: value for name, value in options.items() if value is not None and value is not False}
    fields["requested_by"] = requester.requester_name()
    if wait and requester.is_at_terminal():
        fields["is_attended"] = True
    request = parse_request(fields, deployment.settings.service_names)
    why_no_drill = why_not_allowed(request, deployment.settings) if request.drill else None
    if why_no_drill is not None:
        raise InvalidRequest(f"no drill was started: {why_no_drill}; nothing was changed")
    _refuse_unknown_version(request, deployment.ports())
    if not request.dry_run:
        _confirm(request, deployment.ports(), yes=yes)
    console = make_console()
    if in_process:
        rollback = follow_directly(fields, request.service, deployment)
        step_outputs.write_rollback(rollback)
    else:
        name = f"cli-{uuid.uuid4()}"
        if not wait:
            _start_only(console, deployment, with_proof(fields, name), name)
            return
        rollback = run_in_step_functions(console, deployment, with_proof(fields, name), name)
        print_report(console, rollback, deployment.settings)
    raise typer.Exit(exit_code_of(rollback))


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


def _refuse_unknown_version(request: Request, ports: AllPorts) -> None:
    """Refuse a version that the ledger does not have, so that a typo starts no rollback that is refused.

    A ledger that can't be read refuses nothing here: Plan reads it again.

    Raises:
        InvalidRequest: no release has that name; the text has the closest one.
    """
    name = request.target_version
    if name is None or name in SYNONYMS_OF_LAST_KNOWN_GOOD:
        return
    try:
        parts = (name, name.partition("@")[0], name.rpartition("@")[2])
        if any(True for part in parts for _ in ports.ledger.find(request.service, part)):
            return
        reason = find_release(name, find_releases_by_name(request.service, name, ports)).reason
    except ExternalServiceError:
        return
    raise InvalidRequest(
        f"release {quoted(name)} of {request.service} is not known: {reason}; run `rollback versions ENV` to list the "
        "releases; nothing was changed"
    )


def run_in_step_functions(
    console: Console,
    deployment: deployed_stack.DeployedStack,
    execution_input: dict[str, Any],
    name: str,
) -> Rollback:
    """Start the state machine and follow the rollback's document in the ledger.

    The document decides, not the status of the execution. An execution of that name that was started before is
    followed: Step Functions keeps a name for 90 days.
    """
    ports, watched = deployment.ports(), list[str]()
    environment = deployment.settings.environment
    with stop_watching_on_interrupt(environment, watched):
        arn = start_execution(console, deployment, execution_input, name)
        key = _wait_until_recorded(arn, ports)
        watched.append(key[1])
        remember_rollback(environment, key[1])
        step_outputs.write_rollback(ports.ledger.read(*key))  # a job that is cancelled later knows the id
        rollback = follow(key, ports, console)
    step_outputs.write_rollback(rollback)
    return rollback


def _start_only(
    console: Console, deployment: deployed_stack.DeployedStack, execution_input: dict[str, Any], name: str
) -> None:
    """Start the state machine, and name the rollback: Admit records its id within seconds."""
    environment = deployment.settings.environment
    with stop_watching_on_interrupt(environment, []):
        ports = deployment.ports()
        key = _wait_until_recorded(start_execution(console, deployment, execution_input, name), ports)
        step_outputs.write_rollback(ports.ledger.read(*key))
    rollback_id = key[1]
    remember_rollback(environment, rollback_id)
    print_paragraph(f"to watch it: rollback watch {environment} {rollback_id}", console)


def _wait_until_recorded(arn: str, ports: AllPorts) -> tuple[str, str]:
    """Wait until the ledger has the rollback of an execution, and return its service and id.

    Raises:
        ExternalServiceError: the execution ended before.
    """
    client = make_client("stepfunctions")
    while True:
        with aws_call("DescribeExecution", arn):
            execution = client.describe_execution(executionArn=arn)
        key = ports.ledger.find_by_execution(arn)  # after the description: an ended execution has written its rollback
        if key is not None:
            return key
        if execution["status"] == "SUCCEEDED":
            raise ExternalServiceError(
                f"execution {arn} has ended, but the ledger has no record of it; `rollback history ENV` lists the "
                "rollbacks"
            )
        if execution["status"] != "RUNNING":
            failure = ExecutionFailure.read(execution.get("error"), execution.get("cause"))
            if failure.error == InvalidRequest.__name__:
                raise InvalidRequest(failure.text)
            raise ExternalServiceError(
                f"execution {arn} ended as {execution['status']} before the rollback was recorded: {failure.text}"
            )
        pause()


def start_execution(
    console: Console, deployment: deployed_stack.DeployedStack, execution_input: dict[str, Any], name: str
) -> str:
    """Start the state machine, or find the execution of that name, and return its ARN."""
    with aws_call("StartExecution", deployment.workflow_arn):
        try:
            answer = make_client("stepfunctions").start_execution(
                stateMachineArn=deployment.workflow_arn, name=name, input=json.dumps(execution_input)
            )
        except ClientError as error:
            if code_of(error) != "ExecutionAlreadyExists":
                raise
            arn = f"{deployment.workflow_arn.replace(':stateMachine:', ':execution:', 1)}:{name}"
            print_paragraph(f"started before: {arn}", console)
            return arn
    print_paragraph(f"started {answer['executionArn']}", console)
    return str(answer["executionArn"])
