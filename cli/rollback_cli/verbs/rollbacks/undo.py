"""`rollback undo ENV ID`: bring back what a rollback took out of the database, from its backup branch."""

from typing import Annotated

import typer

from rollback.domain.rollback import service_of
from rollback.errors import InvalidRequest
from rollback_cli import deployed, following


def undo(
    environment: str,
    rollback_id: str,
    force: Annotated[bool, typer.Option(help="override the checks that may be overridden")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="do not ask whether you mean it")] = False,
    dry_run: Annotated[bool, typer.Option(help="plan and report; change nothing")] = False,
    reason: Annotated[str, typer.Option(help="for the record")] = "",
    in_process: Annotated[bool, typer.Option("--direct", help="without Step Functions, in this process")] = False,
) -> None:
    """Restore the database from the backup of a rollback; of a full one, its service goes with it.

    What was written since that rollback is kept in a backup branch in its turn. Afterwards the branch is a child of the
    backup: Neon restores it to points in its own past no more (a root branch is needed for that).
    """
    service = service_of(rollback_id)
    try:
        undone = deployed.find(environment).world().ledger.read(service, rollback_id)
    except KeyError as missing:
        raise InvalidRequest(f"the ledger has no rollback {rollback_id}; `rollback history {environment}`") from missing
    given = {
        "type": undone.request.type.value,
        "service": service,
        "undo": rollback_id,
        "force": force,
        "dry_run": dry_run,
        "reason": reason,
    }
    following.run(environment, given, in_process=in_process, yes=yes)
