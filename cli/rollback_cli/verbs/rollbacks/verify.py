"""`rollback verify ENV`: check the running release now; in a pipeline, after a deployment."""

import hashlib
from typing import Annotated

import typer
from rich.console import Console

from rollback.check import Check, Verdict
from rollback.domain.health_check import build_input
from rollback.domain.rollback import Outcome, Rollback
from rollback.domain.settings.environment import ServiceSettings
from rollback.verification.checks.evidence_keys import NOT_LOOKED_AT, failing
from rollback.verification.verdict_rules import HealthVerdict
from rollback_cli import deployed_stack, health_check, requester
from rollback_cli.deployed_stack import DeployedStack
from rollback_cli.direct.follow import follow_directly
from rollback_cli.display import print_report
from rollback_cli.health_check import SETTLED_CHECK, HealthCheckOptions, HealthCheckResult
from rollback_cli.operator_options import Environment, InProcess, Service
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
) -> None:
    """Check the running release with the checks of a rollback; changes nothing without --smoke.

    Exit code 0: healthy. Exit code 1: a check failed; a rollback, if asked for, succeeded or was only started. Exit
    code 3: an essential check could not be made. Exit code 4: a check failed, and the rollback did not succeed.
    """
    deployment = deployed_stack.find_deployment(environment)
    settings, console = deployment.settings.service_or_only(service), make_console()
    policy = deployment.settings.policy
    options = HealthCheckOptions(
        rounds=rounds if rounds is not None else (policy.verify_rounds if wait else 1),
        wait_minutes=(wait_minutes if wait_minutes is not None else policy.service_timeout_minutes) if wait else None,
        timeout_minutes=(
            timeout_minutes if timeout_minutes is not None else (policy.verify_timeout_minutes if wait else 0)
        ),
        runs_smoke=smoke,
    )
    ports = deployment.ports()
    result = health_check.check_health(settings, options, ports, lambda n, checks: _print_round(console, n, checks))
    _print_result(console, settings, result)
    if result.verdict is not HealthVerdict.FAILED or not rollback_on_failure:
        raise typer.Exit(_EXIT_CODES[result.verdict])
    raise typer.Exit(_roll_back(console, deployment, settings, result, in_process=in_process, follow=wait_rollback))


def _print_round(console: Console, number: int, checks: tuple[Check, ...]) -> None:
    bad = [check.name for check in failing(checks)]
    print_paragraph(f"round {number}: {', '.join(bad) + ' failed' if bad else 'no check failed'}", console)


def _print_result(console: Console, service: ServiceSettings, result: HealthCheckResult) -> None:
    for check in result.checks:
        is_unseen = check.verdict is Verdict.WARN and NOT_LOOKED_AT in check.evidence
        print_paragraph(f"{'not looked at' if is_unseen else check.verdict:13} {check.name}: {check.reason}", console)
        shown = {name: value for name, value in check.evidence.items() if value not in (check.name, "", [], None)}
        if shown:
            print_paragraph(f"              {', '.join(f'{name}: {value}' for name, value in shown.items())}", console)
    print_paragraph(f"{service.name} is {result.verdict}", console)


def _roll_back(
    console: Console,
    deployment: DeployedStack,
    service: ServiceSettings,
    result: HealthCheckResult,
    *,
    in_process: bool,
    follow: bool,
) -> int:
    """Start the rollback of the deployment that was checked, once for each deployment."""
    newest = result.view.newest
    is_left_to_ecs = result.checks[0].name == SETTLED_CHECK and result.checks[0].verdict is Verdict.FAIL
    if is_left_to_ecs and (newest is None or newest.target_definition_arn != result.view.primary.definition_arn):
        print_paragraph("no rollback is started: ECS has rolled the deployment back, or is doing so", console)
        return FAILED
    deployment_id = result.view.primary.id
    ports = deployment.ports()
    failed = tuple(failing(result.checks))
    given = build_input(service.name, deployment_id, ports.clock.now(), failed, requester.requester_name())
    if in_process:
        return _exit_code_after(follow_directly(given, service.name, deployment))
    # A name of one execution only: a job that runs again follows the first job's rollback.
    digest = hashlib.sha256(f"{service.name} {deployment_id}".encode()).hexdigest()[:24]
    name = f"health-check-{digest}"
    if not follow:
        start_execution(console, deployment, with_proof(given, name), name)
        return FAILED
    rollback = run_in_step_functions(console, deployment, with_proof(given, name), name)
    print_report(console, rollback, deployment.settings)
    return _exit_code_after(rollback)


def _exit_code_after(rollback: Rollback) -> int:
    return FAILED if rollback.outcome is Outcome.SUCCEEDED else NOT_ROLLED_BACK
