"""A plan names everything that a restore deletes and that writes behind a fence, before it stops anything."""

import pytest
from faults.scenarios.branch import RecreateScenario
from faults.scenarios.database import WORKER, ResetScenario, RestoreScenario
from faults.scenarios.database_endings import assert_nothing_was_changed
from faults.scenarios.down_migrations import DownMigrationsScenario
from support.builders import SERVICE

from rollback.check import Check, Verdict
from rollback.domain.database.progress import DatabaseOutcome
from rollback.resources.database.background_work import (
    BackgroundWork,
    ReplicationSlot,
    ScheduledJob,
    Subscription,
    judge_background_work,
)
from rollback.resources.database.postgres import ClientSession

SLOT = ReplicationSlot(name="to_kafka", database="app", plugin="pgoutput", active=True)
FROM_SHOP = Subscription(name="from_shop", database="app")
NIGHTLY = ScheduledJob(number=7, name="nightly", schedule="0 3 * * *", database="app", role="owner")
WORKER_OF_ONE = ClientSession(pid=9, role="owner", kind="logical replication apply worker", database="app")
STRATEGY_SCENARIOS = [RestoreScenario, ResetScenario, RecreateScenario]


def checks(work: BackgroundWork, *workers: ClientSession, replaces_data: bool = True) -> dict[str, Check]:
    return {check.name: check for check in judge_background_work(work, workers, replaces_data=replaces_data)}


def failed_names(results: dict[str, Check]) -> set[str]:
    return {name for name, check in results.items() if check.verdict is Verdict.FAIL}


def test_all_checks_pass_without_background_work() -> None:
    assert {check.verdict for check in checks(BackgroundWork()).values()} == {Verdict.PASS}


@pytest.mark.parametrize(
    ("work", "name", "text"),
    [
        (BackgroundWork(slots=(SLOT,)), "no-replication-slots", "to_kafka (pgoutput, database app)"),
        (BackgroundWork(subscriptions=(FROM_SHOP,)), "no-subscriptions", "from_shop (database app)"),
        (BackgroundWork(jobs=(NIGHTLY,)), "no-scheduled-jobs", "7 nightly (0 3 * * *, as owner, database app)"),
    ],
)
def test_each_kind_of_background_work_is_refused_by_name_unless_an_operator_forces_the_rollback(
    work: BackgroundWork, name: str, text: str
) -> None:
    results = checks(work)
    assert failed_names(results) == {name}
    assert results[name].is_forceable
    assert text in results[name].reason
    assert "--force" in results[name].reason


def test_a_connected_background_worker_is_refused() -> None:
    results = checks(BackgroundWork(), WORKER_OF_ONE)
    assert failed_names(results) == {"no-background-workers"}
    assert "logical replication apply worker as owner in database app" in results["no-background-workers"].reason


def test_inactive_background_work_is_allowed_if_the_branch_keeps_its_data() -> None:
    asleep = BackgroundWork(
        slots=(SLOT,),
        subscriptions=(FROM_SHOP.model_copy(update={"enabled": False}),),
        jobs=(NIGHTLY.model_copy(update={"active": False}),),
    )
    assert failed_names(checks(asleep, replaces_data=False)) == set()
    assert failed_names(checks(asleep)) == {"no-replication-slots", "no-subscriptions"}


def test_unreadable_background_work_is_reported_as_unknown() -> None:
    results = checks(BackgroundWork(unreadable_parts=("jobs of pg_cron of other roles (row security)",)))
    visibility_check = results["background-work-is-seen"]
    assert visibility_check.verdict is Verdict.WARN
    assert "not checked: jobs of pg_cron of other roles (row security)" in visibility_check.reason


@pytest.mark.parametrize("kind", STRATEGY_SCENARIOS)
def test_a_replication_slot_refuses_every_strategy_that_replaces_the_data_before_a_service_is_stopped(
    kind: type[RestoreScenario],
) -> None:
    scenario = kind()
    scenario.sql.background[scenario.branch_id] = BackgroundWork(slots=(SLOT,))
    scenario.run_until_ended()
    assert scenario.progress.database_outcome is DatabaseOutcome.REFUSED
    assert "replication slot" in (scenario.progress.why_not or "")
    assert scenario.neon.calls == []
    assert scenario.open_obligations() == ()


def test_down_migrations_are_refused_by_a_scheduled_job_and_not_by_a_replication_slot() -> None:
    down = DownMigrationsScenario()
    down.sql.background[down.branch_id] = BackgroundWork(slots=(SLOT,))
    down.run_until_ended()
    assert down.progress.database_outcome is DatabaseOutcome.RESTORED, down.progress.why_not
    scheduled = DownMigrationsScenario()
    scheduled.sql.background[scheduled.branch_id] = BackgroundWork(jobs=(NIGHTLY,))
    scheduled.run_until_ended()
    assert scheduled.progress.database_outcome is DatabaseOutcome.REFUSED


@pytest.mark.parametrize("kind", [RestoreScenario, ResetScenario])
def test_a_forced_rollback_reports_which_background_work_was_removed(kind: type[RestoreScenario]) -> None:
    """Neon deletes the slots of a branch that it restores; the subscription still exists."""
    scenario = kind()
    scenario.set_force()
    scenario.sql.background[scenario.branch_id] = BackgroundWork(slots=(SLOT,), subscriptions=(FROM_SHOP,))
    while scenario.progress_if_started is None or scenario.progress_if_started.backup_id is None:
        scenario.run_round()
    scenario.sql.background[scenario.branch_id] = BackgroundWork(subscriptions=(FROM_SHOP,))
    scenario.run_until_ended()
    assert scenario.progress.database_outcome is DatabaseOutcome.RESTORED, scenario.progress.why_not
    notes = [note for note in scenario.progress.notes if note.startswith("the restore removed")]
    assert notes == [f"the restore removed replication slot {SLOT}: set up its consumers again"]
    assert any(note.startswith("overridden by force: no-replication-slots") for note in scenario.progress.notes)


def test_background_work_found_only_after_the_check_is_in_the_report() -> None:
    restore = RestoreScenario()
    restore.sql.background[restore.branch_id] = BackgroundWork(unreadable_parts=("subscriptions (permission denied)",))
    restore.run_until_ended()
    assert restore.progress.database_outcome is DatabaseOutcome.RESTORED
    assert any("not checked: subscriptions (permission denied)" in note for note in restore.progress.notes)


def test_an_unforced_restore_with_a_replication_slot_stops_no_service() -> None:
    restore = RestoreScenario()
    restore.sql.background[restore.branch_id] = BackgroundWork(slots=(SLOT,))
    assert_nothing_was_changed(restore, "Each slot's consumer loses its position")
    assert restore.writers.desired_counts() == {SERVICE: 2, WORKER: 2}
