"""How a story must end for the demo to be a success, looked up in the ledger and in ECS."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from rollback.domain.database.progress import backup_name
from rollback.domain.escalation import EscalationLevel
from rollback.domain.request import RollbackType
from rollback.domain.rollback import Outcome, Rollback
from rollback.reports.report import message
from rollback_cli.demo.data import BAD_RELEASE_NAME
from rollback_cli.demo.exactness import count_expected_losses, count_reused_ids, find_unreported
from rollback_cli.demo.profile import AUTOSCALING
from rollback_cli.demo.waiting import ExpectationFailed, wait_until

if TYPE_CHECKING:  # the stories can be listed where the embedded cloud is not installed
    from rollback_cli.demo.stage import DemoEnvironment

_COUNT_BAD_ROWS = "SELECT count(*) FROM users WHERE name = %s"
_DATA_LOSS_REPORT_SECONDS = 180  # it is made after the rollback is concluded


@dataclass(frozen=True)
class ExpectedOutcome:
    """`verify` waits for it and raises ExpectationFailed if it is another; `success_message` and `failure_message` say
    which it was."""

    verify: Callable[["DemoEnvironment"], None]
    success_message: str
    failure_message: str


def find_answering_rollback(stage: "DemoEnvironment") -> Rollback | None:
    """The rollback that answered the incident: the first one that acted, was refused, or failed before it could act."""
    history = stage.world.ledger.history(stage.service.name)
    answers = [r for r in history if r.service is not None or r.outcome in (Outcome.REFUSED, Outcome.FAILED)]
    return answers[-1] if answers else None


def _expect_recovery(stage: "DemoEnvironment") -> None:
    ended = _wait_for_conclusion(stage)
    if ended.outcome is not Outcome.SUCCEEDED or ended.plan is None or ended.plan.target is None:
        raise ExpectationFailed(f"the rollback's outcome is {ended.outcome}: {ended.reason}")
    good = {image.rpartition("@")[2] for image in ended.plan.target.images.values()}
    wait_until("only the good release runs", lambda: stage.running_digests() == good, 60)


def _expect_emergency_recovery(stage: "DemoEnvironment") -> None:
    _expect_recovery(stage)
    ended = _wait_for_conclusion(stage)
    if ended.request.type is not RollbackType.EMERGENCY:
        raise ExpectationFailed(f"it was a {ended.request.type} rollback, not an emergency")


def _expect_restart_from_zero(stage: "DemoEnvironment") -> None:
    _expect_emergency_recovery(stage)
    ended = _wait_for_conclusion(stage)
    if ended.service is None or ended.service.escalation_level is not EscalationLevel.RESTART_FROM_ZERO:
        raise ExpectationFailed("it was not restarted from zero")
    if (scaling := stage.describe_autoscaling()) != AUTOSCALING:
        raise ExpectationFailed(f"autoscaling was not put back: {scaling}")


def _expect_data_recovery(stage: "DemoEnvironment") -> None:
    """Both are back: v1 serves what it reads, what was written since is in the backup, nobody needs a new address."""
    _expect_recovery(stage)
    ended, database = _wait_for_conclusion(stage), stage.database
    if database is None or ended.request.type is not RollbackType.FULL:
        raise ExpectationFailed(f"it was a {ended.request.type} rollback, not one of the database, too")
    wait_until("requests that read the column are answered", lambda: _is_serving(stage), 60)
    wait_until("the branch is protected again", lambda: database.branch().protected, 60)
    if not database.is_address_unchanged:
        raise ExpectationFailed(f"the branch, its host or the connection secret changed: {database.address()[:2]}")
    backup = database.branch(backup_name(ended.id))

    def concluded() -> Rollback:
        return stage.world.ledger.read(stage.service.name, ended.id)

    wait_until(
        "the account of lost writes is told", lambda: not concluded().is_data_loss_report_due, _DATA_LOSS_REPORT_SECONDS
    )
    if database.databases.endpoints(backup.id):
        raise ExpectationFailed("the compute that the backup was read with stays, with production's passwords")
    wait_until("the backup has a compute", lambda: database.ensure_compute(backup.id), 60)
    kept, left = (
        database.query(branch, _COUNT_BAD_ROWS, BAD_RELEASE_NAME)[0][0] for branch in (backup.id, database.branch_id)
    )
    if not kept or left:
        raise ExpectationFailed(f"of the rows written since, the backup has {kept}, and the restored branch {left}")
    untold = list(find_unreported(message(concluded(), stage.service), count_expected_losses(database, backup.id)))
    if untold:
        raise ExpectationFailed(f"the report does not tell: {'; '.join(untold)}")
    if again := count_reused_ids(database, backup.id):
        raise ExpectationFailed(f"{again} new rows have the ids of rows that were lost")


def _is_serving(stage: "DemoEnvironment") -> bool:
    """Ten requests in a row: the traffic's own errors may still be on their way."""
    for _ in range(10):
        with httpx.Client(base_url=stage.base_url) as client:
            if client.get("/api/status").status_code != 200:
                return False
    return True


def _expect_no_change(stage: "DemoEnvironment") -> None:
    before = _service_settings(stage)
    ended = _wait_for_conclusion(stage)
    if ended.outcome is not Outcome.REFUSED:
        raise ExpectationFailed(f"the rollback's outcome is {ended.outcome}: {ended.reason}")
    if _service_settings(stage) != before:
        raise ExpectationFailed("the service was changed")
    wait_until("a person was paged", lambda: bool(stage.pages()), 60)


def _wait_for_conclusion(stage: "DemoEnvironment") -> Rollback:
    def found() -> Rollback | None:
        ended = find_answering_rollback(stage)
        is_over = ended is not None and ended.concluded_at is not None and not ended.is_data_loss_report_due
        return ended if is_over else None

    wait_until("a rollback has concluded", lambda: found() is not None, 240)
    ended = found()
    assert ended is not None  # noqa: S101 - concluded documents stay
    return ended


def _service_settings(stage: "DemoEnvironment") -> dict[str, Any]:
    """What an UpdateService of ours would change."""
    service = stage.described()
    kept = ("taskDefinition", "desiredCount", "deploymentConfiguration")
    return {name: service[name] for name in kept} | {"deployments": [d["id"] for d in service["deployments"]]}


RECOVERED = ExpectedOutcome(
    _expect_recovery, "recovered: the service verifiably runs its last known good release", "NOT RECOVERED"
)
RECOVERED_BY_EMERGENCY = ExpectedOutcome(
    _expect_emergency_recovery, RECOVERED.success_message, RECOVERED.failure_message
)
RECOVERED_FROM_ZERO = ExpectedOutcome(_expect_restart_from_zero, RECOVERED.success_message, RECOVERED.failure_message)
RECOVERED_WITH_DATA = ExpectedOutcome(
    _expect_data_recovery,
    "recovered with its data: the last known good release serves on the restored branch, what was written since is in "
    "the backup, and the report tells exactly what that is",
    RECOVERED.failure_message,
)
LEFT_ALONE = ExpectedOutcome(
    _expect_no_change,
    "as it should be: without a release that is known to be good nothing was touched, and a person was called",
    "NOT AS IT SHOULD BE",
)
