"""`rollback local ship VERSION`: a release of the application, good or bad, into the local cloud."""

import os
from typing import Annotated

import typer

from rollback.domain.releases.release import ReleaseState
from rollback.errors import InvalidRequest, NotAvailable
from rollback.ports.all_ports import AllPorts
from rollback_cli import deployed_stack
from rollback_cli.local_environment.behaviours import HEALTHY, Behaviour, find_behaviour, help_text
from rollback_cli.terminal_text import print_paragraph


def ship(
    version: Annotated[str, typer.Argument(help="version of the release, such as v1.1.0; the tag of its image")],
    behaves: Annotated[str, typer.Option(metavar="BEHAVIOUR", help=help_text())] = HEALTHY,
    should_migrate: Annotated[
        bool,
        typer.Option(
            "--migrate",
            help="apply the application's next migration first; the second one drops a column that the release "
            "before needs (with `local up --deploy --database`)",
        ),
    ] = False,
) -> None:
    """Ship a release into the local cloud as a pipeline does, and say what will happen.

    The image is pushed, `rollback check-deploy` is asked, a task definition is registered, and ECS updates the service.
    """
    from rollback_cli.demo.profile import ENVIRONMENT  # noqa: PLC0415 - see `demo`
    from rollback_cli.demo.waiting import ExpectationFailed  # noqa: PLC0415 - see `demo`
    from rollback_cli.local_environment import cloud_record  # noqa: PLC0415 - see `demo`
    from rollback_cli.local_environment.shipping import (  # noqa: PLC0415 - see `demo`
        LocalPipeline,
        check_version,
        ship_release,
    )

    check_version(version)
    find_behaviour(behaves)
    record = cloud_record.read()
    os.environ.update(record.variables)  # the local cloud only, whatever the shell's variables name
    try:
        deployed = deployed_stack.find_deployment(ENVIRONMENT)
    except InvalidRequest as error:
        assembly = os.path.relpath(cloud_record.assembly_folder())
        raise InvalidRequest(
            "the stacks are not deployed in the local cloud, so there is no service yet: run "
            f"`cdk deploy --all --app {assembly}` with the variables of `rollback local env`, "
            "or start the cloud with --deploy"
        ) from error
    ports = deployed.ports()
    service = deployed.settings.services[0]
    promoted = [r.version for r in ports.ledger.releases(service.name) if r.state is ReleaseState.PROMOTED]
    try:
        behaviour = ship_release(
            LocalPipeline(service), deployed, ports, version, behaves, should_migrate=should_migrate
        )
    except ExpectationFailed as failure:
        raise NotAvailable(f"{version} was pushed, not deployed: {failure}") from failure
    for line in _lines(version, behaviour, promoted, service.name, ports, has_traffic=record.requests_per_second > 0):
        print_paragraph(line)


def _lines(
    version: str, behaviour: Behaviour, promoted: list[str], service: str, ports: AllPorts, *, has_traffic: bool
) -> list[str]:
    environment = ports.settings.environment
    lines = [f"{version} is being deployed. It {behaviour.description}.", f"Then: {behaviour.expectation}"]
    if not behaviour.is_good and not promoted:
        lines.append(
            "No release is promoted yet, so a rollback will be refused: nothing is known to be good. "
            "Ship a healthy release first, and wait until `rollback versions` lists it as promoted."
        )
    if ports.ledger.pause(service) is not None:
        lines.append(f"Automatic rollbacks are paused: `rollback resume {environment}` lets them act again.")
    if not has_traffic:
        lines.append("Nothing sends requests: run `rollback local traffic` in another terminal.")
    return [*lines, f"To follow it: rollback status {environment}, rollback history {environment}"]
