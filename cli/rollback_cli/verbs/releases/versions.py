"""`rollback versions ENV`: the releases that the ledger knows, with the evidence for and against each."""

from itertools import islice
from typing import Annotated

import typer

from rollback.identity.identify import running_fingerprint
from rollback_cli import deployed_stack
from rollback_cli.display import print_releases
from rollback_cli.operator_options import Environment
from rollback_cli.shell import names_cache
from rollback_cli.terminal_text import make_console


def versions(
    environment: Environment,
    limit: Annotated[int, typer.Option(min=1, help="most releases to list for each service")] = 50,
) -> None:
    """List the known releases of each service, newest first, with their states."""
    console = make_console()
    deployment = deployed_stack.find_deployment(environment)
    ports = deployment.ports()
    for service in deployment.settings.services:
        fingerprint = running_fingerprint(ports.services.describe(service), service, ports)
        releases = list(islice(ports.ledger.releases(service.name), limit + 1))
        print_releases(console, releases[:limit], fingerprint)
        names_cache.remember(environment, versions=[release.version for release in releases[:limit]])
        if len(releases) > limit:
            console.print(f"older releases: rollback versions {environment} --limit {limit * 2}", highlight=False)
