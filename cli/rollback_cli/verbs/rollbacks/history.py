"""`rollback history ENV`: the rollbacks of an environment."""

from itertools import islice
from typing import Annotated

import typer

from rollback.domain.rollback import Rollback, service_of
from rollback.errors import UnreadableItem
from rollback_cli import deployed_stack
from rollback_cli.display import print_rollbacks
from rollback_cli.operator_options import Environment
from rollback_cli.shell import names_cache
from rollback_cli.terminal_text import make_console, print_paragraph


def history(
    environment: Environment,
    limit: Annotated[int, typer.Option(min=1, help="most rollbacks to list for each service")] = 20,
    drills: Annotated[bool, typer.Option("--drills", help="list drills only")] = False,
    before: Annotated[str | None, typer.Option(help="list only rollbacks older than the one with this id")] = None,
) -> None:
    """List the newest rollbacks of each service, with any outcome. Drills have the trigger `drill`."""
    deployment = deployed_stack.find_deployment(environment)
    ledger = deployment.ports().ledger
    services = deployment.settings.service_names if before is None else (service_of(before),)
    for service in services:
        listed = (record for record in ledger.records(service, before) if not drills or _is_drill(record))
        records = list(islice(listed, limit + 1))
        print_rollbacks(make_console(), records[:limit])
        ids = [record.id for record in records[:limit] if isinstance(record, Rollback)]
        names_cache.remember(environment, rollbacks=ids)
        if len(records) > limit and ids:
            option = " --drills" if drills else ""
            print_paragraph(f"older rollbacks: rollback history {environment}{option} --before {ids[-1]}")


def _is_drill(record: Rollback | UnreadableItem) -> bool:
    """Whether a record is of a drill, or can't be read: an unreadable record may be of a drill."""
    return not isinstance(record, Rollback) or record.is_drill
