"""`rollback start ENV --direct --no-ledger --task-definition ARN`: check, ask, deploy, and say how to reconcile."""

from collections.abc import Mapping
from typing import Any

import typer

from rollback.domain.settings.environment import ServiceSettings
from rollback.errors import ExternalServiceError, InvalidRequest, UnsupportedService
from rollback.ports.all_ports import AllPorts
from rollback_cli import deployed_stack
from rollback_cli.direct import without_ledger
from rollback_cli.direct.terminal import StandardTerminal, Stopped

_NEED_THE_LEDGER = {
    "target_version": "--target-version",
    "pr": "--pr",
    "strategy": "--strategy",
    "to": "--to",
    "force": "--force",
}
_TYPES = ("service", "emergency")


def require_options(
    options: Mapping[str, Any], task_definition: str | None, *, in_process: bool, no_ledger: bool
) -> None:
    """Check that the options of a start fit together.

    Args:
        options: fields of the request.
        task_definition: value of `--task-definition`.
        in_process: `--direct` was given.
        no_ledger: `--no-ledger` was given.

    Raises:
        InvalidRequest: they don't; nothing was changed.
    """
    if not no_ledger:
        raise InvalidRequest(
            f"--task-definition {task_definition} goes with --direct --no-ledger only; with the ledger, name a release "
            "with --target-version; nothing was changed"
        )
    if not in_process:
        raise InvalidRequest("--no-ledger goes with --direct only: the functions need the ledger; nothing was changed")
    given = [name for field, name in _NEED_THE_LEDGER.items() if options.get(field) not in (None, False)]
    if options.get("type") not in _TYPES:
        given.append(f"--type {options.get('type')}")
    if given:
        raise InvalidRequest(
            f"{', '.join(given)} can't go with --no-ledger, which only deploys a task definition; leave it out, or "
            "wait for DynamoDB; nothing was changed"
        )


def start_without_ledger(
    environment: str, service_name: str | None, task_definition: str | None, *, dry_run: bool, yes: bool
) -> None:
    """Deploy a task definition without the ledger, and wait until the service is stable.

    Exits with 0 if the service runs the definition, 1 if it is not stable or the operator declined.

    Args:
        environment: name of the environment.
        service_name: name of the service; None: the only one.
        task_definition: ARN of one revision.
        dry_run: check and describe only.
        yes: don't ask for a confirmation.

    Raises:
        InvalidRequest: the definition can't be deployed; nothing was changed.
    """
    deployment = deployed_stack.find_deployment(environment)
    service, ports = deployment.settings.service_or_only(service_name), deployment.ports()
    try:
        if task_definition is None:
            raise InvalidRequest(_describe_missing_definition(service, ports))
        checked = without_ledger.check_deployment(service, task_definition, ports)
    except UnsupportedService as unsupported:
        raise InvalidRequest(f"{unsupported}; nothing was changed") from unsupported
    terminal = StandardTerminal()
    for line in checked.describe():
        terminal.say(line)
    if dry_run:
        terminal.say("Dry run: nothing was changed")
        return
    if not yes:
        _confirm(service, terminal)
    try:
        with terminal.outlive(lambda: _describe_stop(checked)):
            problem = without_ledger.deploy(checked, ports, terminal.say)
    except Stopped as stop:
        terminal.say(f"This process was stopped. {_describe_stop(checked)}")
        raise typer.Exit(stop.exit_code) from stop
    if problem is None:
        terminal.say(f"{service.name} runs {task_definition}: stable, all {checked.view.desired_count} tasks")
        terminal.say("Stable means that ECS is content. Whether the release is healthy was not verified")
    else:
        terminal.say(f"{service.name} is not stable: {problem}")
    for line in without_ledger.how_to_reconcile(environment, service, checked.view.primary.definition_arn):
        terminal.say(line)
    raise typer.Exit(0 if problem is None else 1)


def _confirm(service: ServiceSettings, terminal: StandardTerminal) -> None:
    """Let the operator type the name of the service.

    Raises:
        InvalidRequest: there is no terminal to ask on.
        typer.Exit: the operator typed another text.
    """
    if not terminal.is_present:
        raise InvalidRequest("there is no terminal to ask for a confirmation; add --yes; nothing was changed")
    answer = typer.prompt(f"Type the name of the service, {service.name}, to deploy", default="", show_default=False)
    if answer.strip() != service.name:
        terminal.say("not confirmed; nothing was changed")
        raise typer.Exit(1)


def _describe_missing_definition(service: ServiceSettings, ports: AllPorts) -> str:
    text = "--no-ledger needs --task-definition ARN: only the ledger knows the releases; nothing was changed"
    try:
        last_known_good = without_ledger.find_last_known_good(service, ports)
    except ExternalServiceError as failure:
        return f"{text}. ECS could not be asked for the last known good: {failure}"
    if last_known_good is None:
        return f"{text}. ECS has no definition that was registered as last known good"
    return f"{text}. The newest that was registered as last known good is {last_known_good}"


def _describe_stop(checked: without_ledger.Deployment) -> str:
    command = f" Put its configuration back with: {checked.command_to_put_back}" if checked.configuration else ""
    return f"ECS goes on with the deployment of {checked.service.name}, if it was sent.{command}"
