"""`rollback versions ENV`: the releases that the ledger knows, and what the evidence says of them."""

from itertools import islice
from typing import Annotated

import typer

from rollback.identity.identify import running_fingerprint
from rollback_cli import deployed, plain
from rollback_cli import show as display


def versions(
    environment: str, limit: Annotated[int, typer.Option(min=1, help="how many of each service")] = 50
) -> None:
    """List the releases one can go back to, newest first; more of them with --limit."""
    console = plain.console()
    here = deployed.find(environment)
    world = here.world()
    for service in here.settings.services:
        running = running_fingerprint(world.services.describe(service), service, world)
        page = list(islice(world.ledger.releases(service.name), limit + 1))
        display.releases(console, page[:limit], running)
        if len(page) > limit:
            console.print(f"there are older ones: rollback versions {environment} --limit {limit * 2}", highlight=False)
