"""How a story must end for the demo to be a success, looked up in the ledger and in ECS."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from rollback.domain.database.progress import backup_name
from rollback.domain.escalation import Rung
from rollback.domain.request import RollbackType
from rollback.domain.rollback import Outcome, Rollback
from rollback.reports.report import message
from rollback_cli.demo.data import BY_THE_BAD
from rollback_cli.demo.exactness import ids_used_again, not_told, taken_out
from rollback_cli.demo.profile import AS_SCALED
from rollback_cli.demo.waiting import DidNotHappen, until

if TYPE_CHECKING:  # the stories can be listed where the embedded cloud is not installed
    from rollback_cli.demo.stage import Stage

_WRITTEN_SINCE = "SELECT count(*) FROM users WHERE name = %s"
_ACCOUNT_SECONDS = 180  # it is made after the rollback is concluded


@dataclass(frozen=True)
class Ending:
    """`see` waits for it and raises DidNotHappen if it is another; `words` and `otherwise` say which it was."""

    see: Callable[["Stage"], None]
    words: str
    otherwise: str


def answer(stage: "Stage") -> Rollback | None:
    """The rollback that answered the incident: the first one that acted, was refused, or failed before it could act."""
    history = stage.world.ledger.history(stage.service.name)
    answers = [r for r in history if r.service is not None or r.outcome in (Outcome.REFUSED, Outcome.FAILED)]
    return answers[-1] if answers else None


def _recovered(stage: "Stage") -> None:
    ended = _concluded(stage)
    if ended.outcome is not Outcome.SUCCEEDED or ended.plan is None or ended.plan.target is None:
        raise DidNotHappen(f"the rollback's outcome is {ended.outcome}: {ended.reason}")
    good = {image.rpartition("@")[2] for image in ended.plan.target.images.values()}
    until("only the good release runs", lambda: stage.running_digests() == good, 60)


def _recovered_by_emergency(stage: "Stage") -> None:
    _recovered(stage)
    ended = _concluded(stage)
    if ended.request.type is not RollbackType.EMERGENCY:
        raise DidNotHappen(f"it was a {ended.request.type} rollback, not an emergency")


def _recovered_from_zero(stage: "Stage") -> None:
    _recovered_by_emergency(stage)
    ended = _concluded(stage)
    if ended.service is None or ended.service.rung is not Rung.RESTART_FROM_ZERO:
        raise DidNotHappen("it was not restarted from zero")
    if (scaling := stage.scaling()) != AS_SCALED:
        raise DidNotHappen(f"autoscaling was not put back: {scaling}")


def _recovered_with_data(stage: "Stage") -> None:
    """Both are back: v1 serves what it reads, what was written since is in the backup, nobody needs a new address."""
    _recovered(stage)
    ended, database = _concluded(stage), stage.database
    if database is None or ended.request.type is not RollbackType.FULL:
        raise DidNotHappen(f"it was a {ended.request.type} rollback, not one of the database, too")
    until("requests that read the column are answered", lambda: _serves(stage), 60)
    until("the branch is protected again", lambda: database.branch().protected, 60)
    if not database.address_is_kept:
        raise DidNotHappen(f"the branch, its host or the connection secret changed: {database.address()[:2]}")
    backup = database.branch(backup_name(ended.id))

    def concluded() -> Rollback:
        return stage.world.ledger.read(stage.service.name, ended.id)

    until("the account of lost writes is told", lambda: not concluded().owes_account, _ACCOUNT_SECONDS)
    if database.databases.endpoints(backup.id):
        raise DidNotHappen("the compute that the backup was read with stays, with production's passwords")
    until("the backup has a compute", lambda: database.give_compute(backup.id), 60)
    kept, left = (
        database.query(branch, _WRITTEN_SINCE, BY_THE_BAD)[0][0] for branch in (backup.id, database.branch_id)
    )
    if not kept or left:
        raise DidNotHappen(f"of the rows written since, the backup has {kept}, and the restored branch {left}")
    untold = list(not_told(message(concluded(), stage.service), taken_out(database, backup.id)))
    if untold:
        raise DidNotHappen(f"the report does not tell: {'; '.join(untold)}")
    if again := ids_used_again(database, backup.id):
        raise DidNotHappen(f"{again} new rows have the ids of rows that were lost")


def _serves(stage: "Stage") -> bool:
    """Ten requests in a row: the traffic's own errors may still be on their way."""
    for _ in range(10):
        with httpx.Client(base_url=stage.base_url) as client:
            if client.get("/api/status").status_code != 200:
                return False
    return True


def _left_alone(stage: "Stage") -> None:
    before = _footing(stage)
    ended = _concluded(stage)
    if ended.outcome is not Outcome.REFUSED:
        raise DidNotHappen(f"the rollback's outcome is {ended.outcome}: {ended.reason}")
    if _footing(stage) != before:
        raise DidNotHappen("the service was changed")
    until("a person was paged", lambda: bool(stage.pages()), 60)


def _concluded(stage: "Stage") -> Rollback:
    def found() -> Rollback | None:
        ended = answer(stage)
        is_over = ended is not None and ended.concluded_at is not None and not ended.owes_account
        return ended if is_over else None

    until("a rollback has concluded", lambda: found() is not None, 240)
    ended = found()
    assert ended is not None  # noqa: S101 - concluded documents stay
    return ended


def _footing(stage: "Stage") -> dict[str, Any]:
    """What an UpdateService of ours would change."""
    service = stage.described()
    kept = ("taskDefinition", "desiredCount", "deploymentConfiguration")
    return {name: service[name] for name in kept} | {"deployments": [d["id"] for d in service["deployments"]]}


RECOVERED = Ending(_recovered, "recovered: the service verifiably runs its last known good release", "NOT RECOVERED")
RECOVERED_BY_EMERGENCY = Ending(_recovered_by_emergency, RECOVERED.words, RECOVERED.otherwise)
RECOVERED_FROM_ZERO = Ending(_recovered_from_zero, RECOVERED.words, RECOVERED.otherwise)
RECOVERED_WITH_DATA = Ending(
    _recovered_with_data,
    "recovered with its data: the last known good release serves on the restored branch, what was written since is in "
    "the backup, and the report tells exactly what that is",
    RECOVERED.otherwise,
)
LEFT_ALONE = Ending(
    _left_alone,
    "as it should be: without a release that is known to be good nothing was touched, and a person was called",
    "NOT AS IT SHOULD BE",
)
