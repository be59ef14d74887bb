"""`rollback show ENV ID`: the whole report of one rollback."""

from rollback.domain.rollback import service_of
from rollback.errors import InvalidRequest
from rollback_cli import deployed, plain
from rollback_cli import show as display


def show(environment: str, rollback_id: str) -> None:
    """Show one rollback."""
    here = deployed.find(environment)
    try:
        display.rollback(plain.console(), here.world().ledger.read(service_of(rollback_id), rollback_id), here.settings)
    except KeyError as error:
        raise InvalidRequest(
            f"there is no rollback {rollback_id}; `rollback history {environment}` lists them"
        ) from error
