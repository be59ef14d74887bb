"""`rollback doctor ENV`: whether this environment would really roll back tonight. Read-only."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from rollback.errors import CallRefused, ExternalServiceError, InvalidRequest, RefusalKind
from rollback_cli import deployed_stack
from rollback_cli.deployed_stack import DeployedStack
from rollback_cli.doctor.aws_api import BotoApi
from rollback_cli.doctor.diagnose import answer_all, diagnose
from rollback_cli.doctor.display import print_findings
from rollback_cli.doctor.document import Diagnosis
from rollback_cli.doctor.examination import Examination
from rollback_cli.doctor.finding import Finding, Group, Reporter, count_verdicts, is_healthy
from rollback_cli.doctor.send_test_event import questions_by_test_event
from rollback_cli.operator_options import Environment
from rollback_cli.output.formats import OutputFormat, TextOutput, print_data
from rollback_cli.terminal_text import make_console


def doctor(
    environment: Environment,
    output: TextOutput = OutputFormat.TABLE,
    send_test_event: Annotated[
        bool,
        typer.Option("--send-test-event", help="also send a test event through EventBridge, which starts no rollback"),
    ] = False,
) -> None:
    """Check whether an environment would really roll back; changes nothing.

    Exit code 0: nothing failed; warnings are allowed. Exit code 1: a check failed, or could not be made.
    """
    findings = examine(environment, with_test_event=send_test_event)
    if output is OutputFormat.TABLE:
        print_findings(findings, make_console())
    else:
        print_data(Diagnosis.of(environment, findings), output)
    raise typer.Exit(0 if is_healthy(count_verdicts(findings)) else 1)


def examine(environment: str, *, with_test_event: bool = False) -> list[Finding]:
    """Make all checks of an environment. Without its stack the first finding says why nothing else was looked at."""
    name = deployed_stack.stack_name(environment)
    try:
        deployment = deployed_stack.find_deployment(environment)
    except CallRefused as refused:
        group, check = Group.STACK, "stack-is-deployed"
        if refused.kind is RefusalKind.CREDENTIALS:
            group, check = Group.ACCOUNT, "credentials-are-valid"
        return [Reporter(group, check).failed(str(refused), "log in, and set AWS_PROFILE and AWS_REGION")]
    except ExternalServiceError as failure:
        to_do = "check the network, AWS_REGION and AWS_ENDPOINT_URL, then run the doctor again"
        return [Reporter(Group.STACK, "stack-is-deployed").not_looked_at(str(failure), to_do)]
    except InvalidRequest as missing:
        return [Reporter(Group.STACK, "stack-is-deployed").failed(str(missing), f"run `cdk deploy {name}`")]
    examination = Examination(
        stack_name=name,
        deployment=deployment,
        ports=deployment.ports(),
        aws=BotoApi(),
        now=_now,
        count_neon_projects=lambda: _count_neon_projects(deployment),
    )
    findings = diagnose(examination)
    return [*findings, *(answer_all(questions_by_test_event(examination)) if with_test_event else [])]


def _now() -> datetime:
    return datetime.now(UTC)


def _count_neon_projects(deployment: DeployedStack) -> int:
    """Ask Neon which projects the key lists (API reference, "List projects").

    Raises:
        CallRefused: Neon refuses, which a project-scoped key is expected to meet.
        InvalidRequest: the environment has no database.
    """
    from rollback.adapters.neon.http import NeonHttp  # noqa: PLC0415 - httpx takes a while to import

    database = deployment.settings.database
    if database is None:
        raise InvalidRequest("the environment has no database")
    secrets, arn = deployment.ports().secrets, database.api_key_secret_arn
    http = NeonHttp(lambda: secrets.read(arn).get_secret_value(), database.api_url)
    return len(http.read("/projects", {"limit": 2}).get("projects", ()))
