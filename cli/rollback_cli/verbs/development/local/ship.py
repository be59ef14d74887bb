"""`rollback local ship VERSION`: a release of the application, good or bad, into the local cloud."""

import os
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from rollback.errors import InvalidRequest, NotAvailable
from rollback_cli import deployed_stack
from rollback_cli.local_environment.behaviours import HEALTHY, find_behaviour, help_text
from rollback_cli.local_environment.client_variables import point_this_process_at
from rollback_cli.local_environment.prospects import Situation, prospects
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
    point_this_process_at(record.variables)
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
    service, policy = deployed.settings.services[0], deployed.settings.policy
    now = datetime.now(UTC)
    situation = Situation(
        releases=tuple(ports.ledger.releases(service.name)),
        changes=ports.ledger.changes(service.name, now - timedelta(minutes=policy.correlation_window_minutes)).items,
        is_paused=ports.ledger.pause(service.name) is not None,
        has_traffic=record.requests_per_second > 0,
        now=now,
    )
    try:
        behaviour = ship_release(
            LocalPipeline(service), deployed, ports, version, behaves, should_migrate=should_migrate
        )
    except ExpectationFailed as failure:
        raise NotAvailable(f"{version} was pushed, not deployed: {failure}") from failure
    for line in prospects(version, behaviour, situation, policy, ENVIRONMENT):
        print_paragraph(line)
