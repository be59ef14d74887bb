"""The expected outcome of each scenario of the demo, verified in the ledger, in ECS and in the database."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from rollback.domain.database.progress import backup_name
from rollback.domain.escalation import EscalationLevel
from rollback.domain.request import RollbackType, Trigger
from rollback.domain.rollback import Outcome, Rollback
from rollback.reports.report import message
from rollback_cli.demo.database.seed import BAD_RELEASE_NAME
from rollback_cli.demo.expected_data_loss import count_expected_losses, count_reused_ids, find_unreported
from rollback_cli.demo.profile import AUTOSCALING
from rollback_cli.demo.waiting import ExpectationFailed, wait_until

if TYPE_CHECKING:  # `rollback demo --help` lists the scenarios where the embedded cloud is not installed
    from rollback_cli.demo.database.neon_project import DemoDatabase
    from rollback_cli.demo.environment import DemoEnvironment

_COUNT_BAD_ROWS = "SELECT count(*) FROM users WHERE name = %s"
_DATA_LOSS_REPORT_SECONDS = 180  # the report is made after the rollback is concluded


@dataclass(frozen=True)
class ExpectedOutcome:
    """The expected end of a scenario.

    Attributes:
        verify: waits for the end, and raises ExpectationFailed if it is another.
        success_message: printed when the scenario ended as expected.
        failure_message: printed in front of the reason when it did not.
    """

    verify: Callable[["DemoEnvironment"], None]
    success_message: str
    failure_message: str


def find_answering_rollback(environment: "DemoEnvironment") -> Rollback | None:
    """Find the first rollback that acted on the service, was refused, or failed before it could act.

    Where people were asked, it is the rollback that they were asked about: an alarm may start another one meanwhile.
    """
    history = list(environment.ports.ledger.history(environment.service.name))
    answers = [r for r in history if r.approval is not None] or [
        r for r in history if r.service is not None or r.outcome in (Outcome.REFUSED, Outcome.FAILED)
    ]
    return answers[-1] if answers else None


def _expect_recovery(environment: "DemoEnvironment") -> None:
    rollback = _wait_for_conclusion(environment)
    if rollback.outcome is not Outcome.SUCCEEDED or rollback.plan is None or rollback.plan.target is None:
        raise ExpectationFailed(f"rollback {rollback.id} ended as {rollback.outcome}: {rollback.reason}")
    good = {image.rpartition("@")[2] for image in rollback.plan.target.images.values()}
    wait_until("only the good release runs", lambda: environment.running_digests() == good, 60)


def _expect_emergency_recovery(environment: "DemoEnvironment") -> None:
    _expect_recovery(environment)
    rollback = _wait_for_conclusion(environment)
    if rollback.request.type is not RollbackType.EMERGENCY:
        raise ExpectationFailed(f"rollback {rollback.id} is a {rollback.request.type} rollback, not an emergency")


def _expect_recovery_by_watch(environment: "DemoEnvironment") -> None:
    _expect_recovery(environment)
    rollback = _wait_for_conclusion(environment)
    if rollback.trigger is not Trigger.RELEASE_WATCH:
        raise ExpectationFailed(f"the trigger of rollback {rollback.id} is {rollback.trigger}, not the release watch")


def _expect_restart_from_zero(environment: "DemoEnvironment") -> None:
    _expect_emergency_recovery(environment)
    rollback = _wait_for_conclusion(environment)
    if rollback.service is None or rollback.service.escalation_level is not EscalationLevel.RESTART_FROM_ZERO:
        raise ExpectationFailed(f"rollback {rollback.id} did not restart the service from zero")
    if (scaling := environment.describe_autoscaling()) != AUTOSCALING:
        raise ExpectationFailed(f"the rollback did not restore the recorded autoscaling: {scaling}")


def _expect_data_recovery(environment: "DemoEnvironment") -> None:
    """Expect service and database back: v1.0.0 serves what it reads, and no client needs a new address."""
    _expect_recovery(environment)
    rollback, database = _wait_for_conclusion(environment), environment.database
    if database is None or rollback.request.type is not RollbackType.FULL:
        raise ExpectationFailed(f"rollback {rollback.id} is a {rollback.request.type} rollback, not a full one")
    wait_until("requests that read the dropped column are answered", lambda: _is_serving(environment), 60)
    wait_until("the branch is protected again", lambda: database.branch().protected, 60)
    if not database.is_address_unchanged:
        raise ExpectationFailed(f"the branch, its host or the connection secret changed: {database.address()[:2]}")

    def reread() -> Rollback:
        return environment.ports.ledger.read(environment.service.name, rollback.id)

    wait_until("the data loss report is sent", lambda: not reread().is_data_loss_report_due, _DATA_LOSS_REPORT_SECONDS)
    _expect_exact_data_loss_report(message(reread(), environment.service), rollback.id, database)


def _expect_decision_of_two_people(environment: "DemoEnvironment") -> None:
    """Expect the data back, and in the record one verified person who asked and another who approved."""
    _expect_data_recovery(environment)
    rollback = _wait_for_conclusion(environment)
    decision = rollback.approval.decision if rollback.approval is not None else None
    if decision is None or not decision.is_verified or rollback.requester is None or not rollback.requester.is_verified:
        raise ExpectationFailed(f"the record of {rollback.id} does not name two verified persons")
    if decision.by == rollback.requester.arn:
        raise ExpectationFailed(f"{decision.by} approved a rollback that the same person started")


def _expect_exact_data_loss_report(report: str, rollback_id: str, database: "DemoDatabase") -> None:
    """Expect the removed rows in the backup branch only, each of them in the report, and no id of theirs reused."""
    backup = database.branch(backup_name(rollback_id))
    if database.neon.endpoints(backup.id):
        raise ExpectationFailed(f"branch {backup.name} still has the compute of the report and production's passwords")
    wait_until("the backup branch has a compute", lambda: database.ensure_compute(backup.id), 60)
    in_backup, on_branch = (
        database.query(branch, _COUNT_BAD_ROWS, BAD_RELEASE_NAME)[0][0] for branch in (backup.id, database.branch_id)
    )
    if not in_backup or on_branch:
        raise ExpectationFailed(
            f"the backup branch has {in_backup} rows of the bad release (expected: some), and the restored "
            f"branch {on_branch} (expected: 0)"
        )
    unreported = list(find_unreported(report, count_expected_losses(database, backup.id)))
    if unreported:
        raise ExpectationFailed(f"the data loss report lacks: {'; '.join(unreported)}")
    if reused_ids := count_reused_ids(database, backup.id):
        raise ExpectationFailed(f"{reused_ids} new rows have the ids of removed rows")


def _is_serving(environment: "DemoEnvironment") -> bool:
    """Return whether ten requests in a row succeed: errors of earlier requests may still be on their way."""
    for _ in range(10):
        with httpx.Client(base_url=environment.base_url) as client:
            if client.get("/api/status").status_code != 200:
                return False
    return True


def _expect_no_change(environment: "DemoEnvironment") -> None:
    original_settings = _service_settings(environment)
    rollback = _wait_for_conclusion(environment)
    if rollback.outcome is not Outcome.REFUSED:
        raise ExpectationFailed(f"rollback {rollback.id} ended as {rollback.outcome}: {rollback.reason}")
    if _service_settings(environment) != original_settings:
        raise ExpectationFailed("the rollback changed the service")
    wait_until("an operator was paged", lambda: bool(environment.pages()), 60)


def _wait_for_conclusion(environment: "DemoEnvironment") -> Rollback:
    def find_concluded() -> Rollback | None:
        rollback = find_answering_rollback(environment)
        if rollback is None or rollback.concluded_at is None or rollback.is_data_loss_report_due:
            return None
        return rollback

    return wait_until("a rollback has concluded", find_concluded, 240)


def _service_settings(environment: "DemoEnvironment") -> dict[str, Any]:
    """Return what an UpdateService of a rollback would change."""
    service = environment.describe_service()
    names = ("taskDefinition", "desiredCount", "deploymentConfiguration")
    return {name: service[name] for name in names} | {"deployments": [d["id"] for d in service["deployments"]]}


RECOVERED = ExpectedOutcome(
    _expect_recovery, "recovered: the service verifiably runs its last known good release", "NOT RECOVERED"
)
RECOVERED_BY_EMERGENCY = ExpectedOutcome(
    _expect_emergency_recovery, RECOVERED.success_message, RECOVERED.failure_message
)
RECOVERED_BY_WATCH = ExpectedOutcome(_expect_recovery_by_watch, RECOVERED.success_message, RECOVERED.failure_message)
RECOVERED_FROM_ZERO = ExpectedOutcome(_expect_restart_from_zero, RECOVERED.success_message, RECOVERED.failure_message)
RECOVERED_WITH_DATA = ExpectedOutcome(
    _expect_data_recovery,
    "recovered with its data: the last known good release serves on the restored branch, the backup branch has the "
    "rows written since, and the report lists exactly these rows",
    RECOVERED.failure_message,
)
RECOVERED_BY_TWO_PEOPLE = ExpectedOutcome(
    _expect_decision_of_two_people,
    "recovered with its data, after another person than the requester approved; the record names both by their ARNs",
    RECOVERED.failure_message,
)
LEFT_ALONE = ExpectedOutcome(
    _expect_no_change,
    "as expected: no release is known to be good, so the rollback was refused, nothing was touched, and an operator "
    "was paged",
    "NOT AS EXPECTED",
)
