"""`rollback init`: describe a running service in `cdk.json`, from what AWS shows of it. Reads AWS only."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast
from urllib.parse import urlsplit

import typer

from rollback.errors import InvalidRequest
from rollback.text import quoted
from rollback_cli.attach import cdk_json, locate
from rollback_cli.attach.description.page import DEFAULT_STACK_NAME, Target, page, usual_stack_name
from rollback_cli.attach.description.section import Section, describe
from rollback_cli.attach.found import Found
from rollback_cli.attach.look_up import look_up
from rollback_cli.attach.names import ServiceName, check_environment, parse_service, service_label
from rollback_cli.attach.reading import Reader
from rollback_cli.doctor.aws_api import AwsApi, BotoApi
from rollback_cli.shell.aws_session import AwsSession
from rollback_cli.terminal_text import print_paragraph

if TYPE_CHECKING:
    import boto3


@dataclass(frozen=True)
class _Plan:
    """Section and page that one run would write."""

    found: Found
    section: Section
    target: Target
    original: bytes | None
    content: bytes
    page: str


def init(
    cluster: Annotated[str | None, typer.Option("--cluster", help="name or ARN of the ECS cluster")] = None,
    service: Annotated[str | None, typer.Option("--service", help="name or ARN of the ECS service")] = None,
    environment: Annotated[
        str, typer.Option("--environment", help="environment that the service belongs to")
    ] = "production",
    from_stack: Annotated[
        str | None, typer.Option("--from-stack", help="CloudFormation stack that has the service")
    ] = None,
    terraform_state: Annotated[
        Path | None,
        typer.Option("--terraform-state", help="Terraform's state, or the output of `terraform show -json`"),
    ] = None,
    copilot: Annotated[str | None, typer.Option("--copilot", help="Copilot's application/environment/service")] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="this product's name of the service; default: from its name in ECS")
    ] = None,
    container: Annotated[
        str | None, typer.Option("--container", help="container whose image names the version")
    ] = None,
    base_url: Annotated[str | None, typer.Option("--base-url", help="address by which users reach the service")] = None,
    application: Annotated[
        str | None, typer.Option("--application", help="first part of every AWS name; default: that of the file")
    ] = None,
    file: Annotated[Path, typer.Option("--cdk-json", help="file of the settings")] = Path("cdk.json"),
    write: Annotated[
        bool, typer.Option("--write/--print", help="write the file and the page, or print the page only")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="renew what was found of a service that is described already")
    ] = False,
) -> None:
    """Describe a running ECS service in `cdk.json`, from what AWS shows of it; reads AWS, and changes nothing there."""
    check_environment(environment)
    address = _check_address(base_url)
    cdk_json.read(file)  # a wrong file is told before AWS is asked
    reader = Reader(_aws())
    service_name = _locate(reader, cluster, service, from_stack, terraform_state, copilot)
    found = look_up(reader, service_name, container)
    plan = _plan(found, environment, address, name, application, file, replaces=replace or not write)
    if not write:
        print(plan.page, end="")
        return
    if plan.section.blockers:
        raise InvalidRequest(
            f"the section is not complete: {'; '.join(plan.section.blockers)}; run it with --print to see the missing "
            "permissions; nothing was written"
        )
    report = file.parent / f"rollback-init-{plan.section.label}.md"
    cdk_json.write(file, plan.content, plan.original)
    report.write_text(plan.page, encoding="utf-8")
    _print_result(plan, file, report)


def _locate(
    reader: Reader,
    cluster: str | None,
    service: str | None,
    from_stack: str | None,
    terraform_state: Path | None,
    copilot: str | None,
) -> ServiceName:
    sources = {"--from-stack": from_stack, "--terraform-state": terraform_state, "--copilot": copilot}
    given = [option for option, value in sources.items() if value is not None]
    if len(given) > 1:
        raise InvalidRequest(f"{' and '.join(given)} are given together; give one of them")
    if from_stack is not None:
        return locate.from_stack(reader, from_stack, cluster, service)
    if terraform_state is not None:
        return locate.from_terraform(terraform_state, cluster, service)
    if copilot is not None:
        return locate.from_copilot(reader, copilot)
    if service is None:
        raise InvalidRequest(
            "no service is named; give --cluster and --service, or one of --from-stack, --terraform-state and --copilot"
        )
    return parse_service(cluster, service)


def _plan(
    found: Found,
    environment: str,
    base_url: str | None,
    name: str | None,
    application: str | None,
    file: Path,
    *,
    replaces: bool,
) -> _Plan:
    section = describe(found, service_label(name, found.ecs_service), base_url)
    original, document = cdk_json.read(file)
    merged = cdk_json.merge(
        document, environment, section.service, section.environment, application=application, replaces=replaces
    )
    app = merged.get("app")
    target = Target(
        environment=environment,
        stack=_stack_name(merged, environment),
        app=None if app in cdk_json.OUR_APPS else cdk_json.APP,
    )
    return _Plan(
        found=found,
        section=section,
        target=target,
        original=original,
        content=cdk_json.render(merged, original),
        page=page(found, section, target, _now()),
    )


def _stack_name(document: dict[str, Any], environment: str) -> str:
    application = document["context"].get("application") or {}
    return usual_stack_name(environment, str(application.get("stack_name", DEFAULT_STACK_NAME)))


def _check_address(base_url: str | None) -> str | None:
    """Return an address without its last slash.

    Raises:
        InvalidRequest: it is no address of a web server.
    """
    if base_url is None:
        return None
    try:
        parts = urlsplit(base_url)
        is_address = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address or any(character.isspace() or character in "\\?#@" for character in base_url):
        raise InvalidRequest(f"--base-url is {quoted(base_url)}; give https://<host>, without user and query")
    return base_url.rstrip("/")


def _print_result(plan: _Plan, file: Path, report: Path) -> None:
    section, unread = plan.section, plan.found.unread
    print_paragraph(
        f"{file}: {section.label} is described in {plan.target.environment}; the mode of a new environment is observe"
    )
    print_paragraph(
        f"{report}: {len(section.decisions)} decisions, {len(section.left_out)} parts left out, {len(unread)} not read"
    )
    for part in unread:
        print_paragraph(f"not read: {part.subject} ({part.permission}): {part.reason}")
    app = f' --app "{plan.target.app}"' if plan.target.app else ""
    print_paragraph(f"next: read {report.name}, then run `cdk deploy {plan.target.stack}{app}`")


def _aws() -> AwsApi:
    return BotoApi(cast("boto3.Session", AwsSession()))


def _now() -> datetime:
    return datetime.now(UTC)
