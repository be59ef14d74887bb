"""A release whose migration breaks the last known good: the rollback is refused, or rolls the database back too."""

from datetime import timedelta

import pytest
from simulations.database import ADDS, AFTER, BAD, BEFORE, BRANCH, FIRST, GOOD, DatabaseSimulation, applied
from simulations.service import FAMILY
from support.builders import NOW, SERVICE, definition, image, release

from rollback.check import Verdict
from rollback.domain.database.release_schema import ReleaseSchema
from rollback.domain.obligation import ObligationKind
from rollback.domain.releases.release import ReleaseState, normalised_definition
from rollback.domain.request import RollbackType
from rollback.domain.rollback import Outcome
from rollback.domain.settings.database import DatabaseSettings
from rollback.domain.settings.policy import Policy
from rollback.names import family_of, rollback_family
from rollback.resources.database.live_schema import Column, LiveSchema
from rollback.workflow.route import Step

REFUSING = Policy()
APPROVED = Policy()
FULL = {"type": "full", "target_version": "v1"}


def test_a_service_rollback_to_a_schema_without_its_column_is_refused_and_offers_a_full_rollback() -> None:
    simulation = DatabaseSimulation(REFUSING)
    rollback = simulation.read(simulation.run())

    assert rollback.outcome is Outcome.REFUSED
    assert "email" in rollback.reason
    assert "rollback start production --type full --service express-api --target-version v1\n" in rollback.reason
    assert '{"type": "full", "service": "express-api", "target_version": "v1"' in rollback.reason
    assert simulation.changes() == []
    assert simulation.neon.calls == []
    assert len(simulation.pages()) == 1


def test_an_additive_migration_allows_a_service_rollback() -> None:
    simulation = DatabaseSimulation(second=ADDS)
    rollback = simulation.read(simulation.run())

    assert (rollback.outcome, rollback.request.type) == (Outcome.SUCCEEDED, RollbackType.SERVICE)
    assert simulation.running() == image("v1")
    assert simulation.neon.calls == []


def test_a_service_rollback_without_an_observation_of_the_database_is_refused() -> None:
    simulation = DatabaseSimulation(REFUSING, observed=False)
    rollback = simulation.read(simulation.run())

    assert rollback.outcome is Outcome.REFUSED
    assert "not been observed" in rollback.reason


def test_an_environment_set_to_full_rolls_back_service_and_database() -> None:
    simulation = DatabaseSimulation()
    desired = simulation.services.desired_count
    rollback = simulation.read(simulation.run())

    assert (rollback.outcome, rollback.request.type) == (Outcome.SUCCEEDED, RollbackType.FULL), rollback.reason
    assert simulation.check(rollback, "schema-is-compatible").verdict is Verdict.WARN
    assert simulation.running() == image("v1")
    assert simulation.services.desired_count == desired
    assert simulation.rows() == GOOD
    backup = simulation.backup(rollback)
    assert backup is not None
    assert simulation.neon.rows(backup.id) == GOOD + BAD
    assert simulation.branch.protected
    assert simulation.neon.calls.count("restore") == 1
    assert rollback.database is not None
    assert rollback.database.data_loss is not None
    assert [table.removed_rows for table in rollback.database.data_loss.tables] == [2]
    assert rollback.open_obligations() == ()
    assert rollback.left_to_operator() == ()
    assert simulation.state_of("v2") is ReleaseState.QUARANTINED
    assert simulation.ledger.lease(simulation.branch_key) is None
    report = simulation.notifications.sent[-1].message
    assert f"rollback undo production {rollback.id}" in report
    assert "gone: 2" in report


def test_the_bad_release_never_runs_on_restored_data() -> None:
    simulation = DatabaseSimulation()
    rollback = simulation.admit()
    for _ in range(300):
        rollback = simulation.run_due_step(rollback)
        if simulation.rows() == GOOD and simulation.services.unstopped_tasks(simulation.service_settings):
            assert simulation.running() == image("v1")
        if rollback.concluded_at is not None:
            break
    assert rollback.outcome is Outcome.SUCCEEDED


def test_a_full_rollback_without_a_restore_point_names_the_checkpoint_command() -> None:
    simulation = DatabaseSimulation(APPROVED, checkpoint=False)
    rollback = simulation.read(simulation.run(FULL))

    assert rollback.outcome is Outcome.REFUSED
    assert "run the command checkpoint" in rollback.reason
    assert simulation.neon.calls == []
    assert simulation.changes() == []


def test_a_database_without_settings_is_refused_by_name() -> None:
    simulation = DatabaseSimulation(APPROVED)
    simulation.replace(settings=simulation.ports.settings.model_copy(update={"database": None}))
    rollback = simulation.read(simulation.run({"type": "database"}))

    assert rollback.outcome is Outcome.REFUSED
    assert "no database is set" in rollback.reason


def test_a_database_rollback_restores_the_state_of_the_good_release_and_restarts_its_service() -> None:
    simulation = DatabaseSimulation(APPROVED, second=ADDS)
    desired = simulation.services.desired_count
    simulation.alarms.recover(next(iter(simulation.alarms.in_alarm)))
    execution_input = {"type": "database", "reason": "wrong rows", "force": True}  # no schema of v2 was recorded
    rollback = simulation.read(simulation.run(execution_input))

    assert rollback.outcome is Outcome.SUCCEEDED, rollback.reason
    assert simulation.rows() == GOOD
    assert simulation.running() == image("v2")
    assert simulation.services.desired_count == desired
    assert simulation.state_of("v2") is ReleaseState.CANDIDATE
    assert "database to" in rollback.reason


def test_a_restore_that_neon_refuses_changes_neither_service_nor_database() -> None:
    simulation = DatabaseSimulation()
    simulation.neon.restrict(BRANCH, "restore", "the branch is being moved")
    rollback = simulation.read(simulation.run())

    assert rollback.outcome is Outcome.REFUSED
    assert "being moved" in rollback.reason
    assert "nothing was changed" in rollback.reason
    assert simulation.running() == image("v2")
    assert simulation.services.desired_count > 0
    assert simulation.rows() == GOOD + BAD


def test_a_restore_that_fails_after_the_overwrite_leaves_the_service_fenced_and_names_the_branches() -> None:
    simulation = DatabaseSimulation()
    rollback = simulation.admit()
    while rollback.database is None or rollback.database.backup_id is None:
        rollback = simulation.run_due_step(rollback)
    simulation.sql.schemas[BRANCH] = AFTER  # the restored tables differ from those on the preview
    rollback = simulation.run_until(rollback)

    assert rollback.outcome is Outcome.FAILED
    assert simulation.services.desired_count == 0
    assert {o.kind for o in rollback.left_to_operator()} >= {ObligationKind.FENCE}
    page = simulation.pages()[-1]
    assert "Condition: v2 is the release that the service would start; the data may be overwritten" in page
    assert "backup branch br-" in page
    assert f"services left at zero tasks, so that they do not write to the branch: {SERVICE}" in page


def test_an_undo_restores_service_and_database() -> None:
    simulation = DatabaseSimulation(APPROVED)
    rollback = simulation.read(simulation.run(FULL))
    assert rollback.outcome is Outcome.SUCCEEDED, rollback.reason
    simulation.neon.settle()
    undo = simulation.read(simulation.run({"type": "full", "undo": rollback.id}, "execution-2"))

    assert undo.outcome is Outcome.SUCCEEDED, undo.reason
    assert undo.service is not None
    family = family_of(undo.service.target_definition_arn or "")
    assert family == rollback_family(FAMILY, "production", SERVICE), "decision 2: what was left is no last known good"
    assert simulation.rows() == GOOD + BAD
    assert simulation.running() == image("v2")
    backup = simulation.backup(undo)
    assert backup is not None
    assert simulation.neon.rows(backup.id) == GOOD


@pytest.mark.parametrize(
    ("execution_input", "text"),
    [
        ({"type": "full", "undo": "express-api-20260101T000000Z-00000000"}, "the ledger has no rollback"),
        ({"type": "database", "pr": 42}, "leave pr out"),
        ({"type": "database", "strategy": "delete"}, "only the branch of a pull request"),
        ({"type": "database", "strategy": "reset"}, "source_branch_id"),
        ({"type": "full", "target_version": "v9"}, "v9 is not in the ledger"),
    ],
)
def test_an_impossible_full_rollback_is_refused_with_the_next_step(
    execution_input: dict[str, object], text: str
) -> None:
    simulation = DatabaseSimulation(APPROVED)
    rollback = simulation.read(simulation.run(execution_input))

    assert rollback.outcome is Outcome.REFUSED
    assert text in rollback.reason
    assert simulation.neon.calls == []
    assert simulation.changes() == []


def test_an_operator_names_the_time_to_which_the_database_is_restored() -> None:
    simulation = DatabaseSimulation(APPROVED, second=ADDS, checkpoint=False)
    simulation.alarms.recover(next(iter(simulation.alarms.in_alarm)))
    at = NOW - timedelta(minutes=25)
    execution_input = {"type": "database", "to": at.isoformat(), "force": True}  # no schema of v2 was recorded
    rollback = simulation.read(simulation.run(execution_input))

    assert rollback.outcome is Outcome.SUCCEEDED, rollback.reason
    assert simulation.rows() == GOOD


def test_a_restore_keeps_the_rows_written_before_the_first_release_that_breaks_the_target() -> None:
    """v2 only added a column; after a service rollback v1 wrote more rows, and v3 then dropped the column."""
    simulation = DatabaseSimulation(APPROVED, second=ADDS)
    simulation.ship_v3()
    rollback = simulation.read(simulation.run(FULL))

    assert rollback.outcome is Outcome.SUCCEEDED, rollback.reason
    assert simulation.rows() == GOOD + BAD
    assert rollback.plan is not None
    assert rollback.plan.database is not None
    assert "before v3" in simulation.check(rollback, "restore-point-is-known").reason


def test_the_next_plan_after_a_restore_uses_the_restored_schema() -> None:
    simulation = DatabaseSimulation()
    simulation.run()

    observation = simulation.ledger.observation(simulation.branch_key)
    assert observation is not None
    assert simulation.ledger.schema(observation.schema_sha256).recorded_schema == BEFORE


@pytest.mark.parametrize(
    ("name", "settings", "execution_input"),
    [
        ("staging", {}, {"type": "database"}),
        ("preview/pr-42", {"branch_id": None, "branch_pattern": "preview/pr-{pr}"}, {"type": "database", "pr": 42}),
    ],
    ids=["staging", "a pull request's"],
)
def test_a_branch_is_reset_to_production_and_its_own_rows_are_kept(
    name: str, settings: dict[str, object], execution_input: dict[str, object]
) -> None:
    simulation = DatabaseSimulation(APPROVED, second=ADDS)
    simulation.alarms.recover(next(iter(simulation.alarms.in_alarm)))
    branch = simulation.neon.create_branch(name, BRANCH, with_endpoint=True, protected=True).branch
    simulation.neon.settle()
    simulation.neon.write(branch.id, 9)
    simulation.neon.write(BRANCH, 10)
    database = {**dict(simulation.database), "branch_id": branch.id, "strategy": "reset", "source_branch_id": BRANCH}
    reset_settings = DatabaseSettings.model_validate({**database, **settings})
    simulation.replace(settings=simulation.ports.settings.model_copy(update={"database": reset_settings}))
    rollback = simulation.read(simulation.run(execution_input))

    assert rollback.outcome is Outcome.SUCCEEDED, rollback.reason
    assert simulation.neon.rows(branch.id) == [*GOOD, *BAD, 10]
    reset_branch = simulation.neon.branch(branch.id)
    assert reset_branch is not None
    assert reset_branch.protected
    backup = simulation.backup(rollback)
    assert backup is not None
    assert simulation.neon.rows(backup.id) == [*GOOD, *BAD, 9]
    assert (simulation.running(), simulation.services.desired_count) == (image("v2"), 2)
    assert simulation.ledger.lease(reset_settings.branch_key(execution_input.get("pr"))) is None  # type: ignore[arg-type]


@pytest.mark.parametrize("needs", [AFTER, BEFORE], ids=["needs what is not there then", "works there"])
def test_another_writer_that_can_not_work_with_the_restored_tables_forbids_the_restore(needs: LiveSchema) -> None:
    simulation = DatabaseSimulation()
    required_column = Column(type="text", nullable=False, has_default=False)
    tables = needs if needs is BEFORE else LiveSchema(tables={"public.jobs": {"id": required_column}, **needs.tables})
    worker_schema = ReleaseSchema(journal=applied(FIRST), recorded_schema=tables)
    simulation.ledger.put_schema(worker_schema)
    worker = simulation.service_settings.model_copy(update={"name": "worker"})
    services = (*simulation.ports.settings.services, worker)
    simulation.replace(settings=simulation.ports.settings.model_copy(update={"services": services}))
    running = release("v2", service="worker", schema_sha256=worker_schema.sha256)
    simulation.ledger.record(running, normalised_definition(definition("v2"), {}))
    rollback = simulation.read(
        simulation.run_until(simulation.admit({**FULL, "service": SERVICE, "dry_run": True}), Step.CONCLUDE)
    )

    check = simulation.check(rollback, "writer-worker-fits-restored-schema")
    assert check.verdict is (Verdict.PASS if needs is BEFORE else Verdict.FAIL), check.reason
    assert rollback.outcome is (Outcome.PLANNED if needs is BEFORE else Outcome.REFUSED)


def test_a_migration_that_a_container_may_have_run_since_the_last_observation_refuses_the_rollback() -> None:
    """ECS reported only the start of the failed deployment, and the observation was before the container migrated."""
    simulation = DatabaseSimulation(REFUSING)
    target_schema = ReleaseSchema(journal=applied(FIRST), recorded_schema=BEFORE)
    observation = simulation.ledger.observation(simulation.branch_key)
    assert observation is not None
    simulation.ledger.put_schema(target_schema)
    simulation.ledger.put_observation(observation.model_copy(update={"schema_sha256": target_schema.sha256}))
    rollback = simulation.read(simulation.run())

    assert rollback.outcome is Outcome.REFUSED
    assert "v2 may have applied 0001_drop_email since the last observation" in rollback.reason
