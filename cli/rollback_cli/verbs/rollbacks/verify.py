"""`rollback verify ENV`: check the running release now; in a pipeline, after a deployment."""

import hashlib
from typing import Annotated, Any

import typer
from rich.console import Console

from rollback.check import Check, Verdict
from rollback.domain.health_check import build_input
from rollback.domain.rollback import Outcome, Rollback
from rollback.domain.settings.environment import ServiceSettings
from rollback.errors import RollbackError
from rollback.text import one_line
from rollback.verification.checks.evidence_keys import failing
from rollback.verification.verdict_rules import HealthVerdict
from rollback_cli import deployed_stack, health_check, requester
from rollback_cli.deployed_stack import DeployedStack
from rollback_cli.direct.follow import follow_directly
from rollback_cli.display import print_report
from rollback_cli.health_check import SETTLED_CHECK, HealthCheckOptions, HealthCheckResult
from rollback_cli.operator_options import Environment, InProcess, Service
from rollback_cli.output.formats import Output, OutputFormat, is_terminal, print_document
from rollback_cli.output.rollbacks.verified import (
    StartedRollback,
    Verified,
    describe_verification,
    verification_lines,
    verification_records,
)
from rollback_cli.sign_proof import with_proof
from rollback_cli.start_and_follow import run_in_step_functions, start_execution
from rollback_cli.terminal_text import make_console, print_paragraph

HEALTHY, FAILED, NOT_LOOKED_AT_CODE, NOT_ROLLED_BACK = 0, 1, 3, 4
_EXIT_CODES = {
    HealthVerdict.HEALTHY: HEALTHY,
    HealthVerdict.FAILED: FAILED,
    HealthVerdict.NOT_LOOKED_AT: NOT_LOOKED_AT_CODE,
    HealthVerdict.NOT_YET: NOT_LOOKED_AT_CODE,
}


def verify(
    environment: Environment,
    service: Service = None,
    rounds: Annotated[
        int | None, typer.Option(min=1, help="good rounds in a row; default: 1, with --wait as Verify needs")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="first wait until the deployment has settled")] = False,
    wait_minutes: Annotated[
        float | None, typer.Option(min=0, help="limit of --wait; default: policy.service_timeout_minutes")
    ] = None,
    timeout_minutes: Annotated[
        float | None,
        typer.Option(min=0, help="time for failing checks to recover; default: 0, with --wait as Verify has"),
    ] = None,
    smoke: Annotated[bool, typer.Option("--smoke", help="also run the smoke command, as an ECS task")] = False,
    rollback_on_failure: Annotated[
        bool, typer.Option("--rollback-on-failure", help="if a check fails, start a rollback and follow it")
    ] = False,
    wait_rollback: Annotated[bool, typer.Option(help="follow that rollback to its end, or only start it")] = True,
    in_process: InProcess = False,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Check the running release with the checks of a rollback; changes nothing without --smoke.

    Exit code 0: healthy. Exit code 1: a check failed; a rollback, if asked for, succeeded or was only started. Exit
    code 3: an essential check could not be made. Exit code 4: a check failed, and the rollback did not succeed.
    """
    deployment = deployed_stack.find_deployment(environment)
    settings = deployment.settings.service_or_only(service)
    progress = make_console(stderr=output is not OutputFormat.TABLE or not is_terminal())
    policy = deployment.settings.policy
    options = HealthCheckOptions(
        rounds=rounds if rounds is not None else (policy.verify_rounds if wait else 1),
        wait_minutes=(wait_minutes if wait_minutes is not None else policy.service_timeout_minutes) if wait else None,
        timeout_minutes=(
            timeout_minutes if timeout_minutes is not None else (policy.verify_timeout_minutes if wait else 0)
        ),
        runs_smoke=smoke,
    )
    ports, rounds_made = deployment.ports(), 0

    def on_round(number: int, checks: tuple[Check, ...]) -> None:
        nonlocal rounds_made
        rounds_made = number
        _print_round(progress, number, checks)

    result = health_check.check_health(settings, options, ports, on_round)
    document = describe_verification(environment, settings.name, rounds_made, result)
    if result.verdict is not HealthVerdict.FAILED or not rollback_on_failure:
        _print_result(document, output, progress)
        raise typer.Exit(_EXIT_CODES[result.verdict])
    if output is OutputFormat.TABLE:
        _print_result(document, output, progress)
    try:
        code, changes = _roll_back(progress, deployment, settings, result, in_process=in_process, follow=wait_rollback)
    except RollbackError as error:
        _print_late(document, {"rollback_remark": one_line(str(error))}, output, progress)
        raise
    _print_late(document, changes, output, progress)
    raise typer.Exit(code)


def _print_round(console: Console, number: int, checks: tuple[Check, ...]) -> None:
    bad = [check.name for check in failing(checks)]
    print_paragraph(f"round {number}: {', '.join(bad) + ' failed' if bad else 'no check failed'}", console)


def _print_result(document: Verified, output: OutputFormat, progress: Console) -> None:
    def in_terminal(console: Console) -> None:
        for line in verification_lines(document):
            print_paragraph(line, console)

    print_document(document, output, in_terminal=in_terminal, records=lambda: verification_records(document))
    if output is not OutputFormat.TABLE or not is_terminal():
        print_paragraph(f"{document.service} is {document.verdict}", progress)


def _print_late(document: Verified, changes: dict[str, Any], output: OutputFormat, progress: Console) -> None:
    """Print JSON or YAML once the rollback is known: a reader takes the output as one document."""
    if output is not OutputFormat.TABLE:
        _print_result(document.model_copy(update=changes), output, progress)


def _roll_back(
    console: Console,
    deployment: DeployedStack,
    service: ServiceSettings,
    result: HealthCheckResult,
    *,
    in_process: bool,
    follow: bool,
) -> tuple[int, dict[str, Any]]:
    """Start the rollback of the deployment that was checked, once for each deployment.

    Returns:
        The exit code, and the members of the document about the rollback.
    """
    newest = result.view.newest
    is_left_to_ecs = result.checks[0].name == SETTLED_CHECK and result.checks[0].verdict is Verdict.FAIL
    if is_left_to_ecs and (newest is None or newest.target_definition_arn != result.view.primary.definition_arn):
        remark = "no rollback is started: ECS has rolled the deployment back, or is doing so"
        print_paragraph(remark, console)
        return FAILED, {"rollback_remark": remark}
    deployment_id = result.view.primary.id
    ports = deployment.ports()
    failed = tuple(failing(result.checks))
    given = build_input(service.name, deployment_id, ports.clock.now(), failed, requester.requester_name())
    if in_process:
        rollback = follow_directly(given, service.name, deployment, is_on_stderr=console.stderr)
        return _code_and_rollback(rollback)
    # A name of one execution only: a job that runs again follows the first job's rollback.
    digest = hashlib.sha256(f"{service.name} {deployment_id}".encode()).hexdigest()[:24]
    name = f"health-check-{digest}"
    if not follow:
        arn = start_execution(console, deployment, with_proof(given, name), name)
        return FAILED, {"rollback": StartedRollback(execution=arn, id=None, outcome=None)}
    rollback = run_in_step_functions(console, deployment, with_proof(given, name), name)
    print_report(console, rollback, deployment.settings)
    return _code_and_rollback(rollback)


def _code_and_rollback(rollback: Rollback) -> tuple[int, dict[str, Any]]:
    code = FAILED if rollback.outcome is Outcome.SUCCEEDED else NOT_ROLLED_BACK
    return code, {"rollback": StartedRollback.of(rollback)}
