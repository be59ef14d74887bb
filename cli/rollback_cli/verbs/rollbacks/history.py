"""`rollback history ENV`: the rollbacks of an environment."""

from itertools import islice
from typing import Annotated

import typer

from rollback.domain.rollback import Rollback, service_of
from rollback_cli import deployed, lever, plain
from rollback_cli import show as display


def history(
    environment: str,
    limit: Annotated[int, typer.Option(min=1, help="how many of each service")] = 20,
    before: Annotated[str | None, typer.Option(help="only those older than the rollback with this id")] = None,
) -> None:
    """List the newest rollbacks, whatever their outcome."""
    here = deployed.find(environment)
    ledger = here.world().ledger
    services = here.settings.service_names if before is None else (service_of(before),)
    for service in services:
        page = list(islice(ledger.records(service, before), limit + 1))
        display.rollbacks(plain.console(), page[:limit])
        shown = [one.id for one in page[:limit] if isinstance(one, Rollback)]
        if len(page) > limit and shown:
            lever.print_paragraph(f"older ones: rollback history {environment} --before {shown[-1]}")
