"""`rollback history ENV`: the rollbacks of an environment."""

from itertools import islice
from typing import Annotated

import typer

from rollback.domain.rollback import Rollback, service_of
from rollback_cli import deployed_stack
from rollback_cli.display import print_rollbacks
from rollback_cli.operator_options import Environment
from rollback_cli.terminal_text import make_console, print_paragraph


def history(
    environment: Environment,
    limit: Annotated[int, typer.Option(min=1, help="most rollbacks to list for each service")] = 20,
    before: Annotated[str | None, typer.Option(help="list only rollbacks older than the one with this id")] = None,
) -> None:
    """List the newest rollbacks of each service, with any outcome."""
    deployment = deployed_stack.find_deployment(environment)
    ledger = deployment.ports().ledger
    services = deployment.settings.service_names if before is None else (service_of(before),)
    for service in services:
        records = list(islice(ledger.records(service, before), limit + 1))
        print_rollbacks(make_console(), records[:limit])
        ids = [record.id for record in records[:limit] if isinstance(record, Rollback)]
        if len(records) > limit and ids:
            print_paragraph(f"older rollbacks: rollback history {environment} --before {ids[-1]}")
