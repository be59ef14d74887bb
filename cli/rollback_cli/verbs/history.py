"""`rollback history ENV`: the rollbacks of an environment."""

from itertools import islice
from typing import Annotated

import typer

from rollback_cli import deployed, plain
from rollback_cli import show as look


def history(environment: str, limit: Annotated[int, typer.Option(min=1, help="how many of each service")] = 20) -> None:
    """List the newest rollbacks, whatever their outcome."""
    here = deployed.find(environment)
    ledger = here.world().ledger
    for service in here.settings.service_names:
        look.rollbacks(plain.console(), islice(ledger.history(service), limit))
