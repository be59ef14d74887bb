"""`rollback history ENV`: the rollbacks of an environment."""

from functools import partial
from typing import Annotated

import typer

from rollback.domain.rollback import Rollback, service_of
from rollback.errors import UnreadableItem
from rollback_cli import deployed_stack
from rollback_cli.operator_options import Environment
from rollback_cli.output.formats import Output, OutputFormat, print_document
from rollback_cli.output.rollbacks.history import History, history_records, list_page, print_history
from rollback_cli.shell import names_cache


def history(
    environment: Environment,
    limit: Annotated[int, typer.Option(min=1, help="most rollbacks to list for each service")] = 20,
    drills: Annotated[bool, typer.Option("--drills", help="list drills only")] = False,
    before: Annotated[str | None, typer.Option(help="list only rollbacks older than the one with this id")] = None,
    output: Output = OutputFormat.TABLE,
) -> None:
    """List the newest rollbacks of each service, with any outcome. Drills have the trigger `drill`."""
    deployment = deployed_stack.find_deployment(environment)
    ledger = deployment.ports().ledger
    services = deployment.settings.service_names if before is None else (service_of(before),)
    pages = []
    for service in services:
        listed = (record for record in ledger.records(service, before) if not drills or _is_drill(record))
        page = list_page(service, listed, limit)
        names_cache.remember(environment, rollbacks=[rollback.id for rollback in page.rollbacks])
        pages.append(page)
    listing = History(environment=environment, is_drills_only=drills, services=tuple(pages))
    print_document(
        listing, output, in_terminal=partial(print_history, listing), records=partial(history_records, listing)
    )


def _is_drill(record: Rollback | UnreadableItem) -> bool:
    """Whether a record is of a drill, or can't be read: an unreadable record may be of a drill."""
    return not isinstance(record, Rollback) or record.is_drill
