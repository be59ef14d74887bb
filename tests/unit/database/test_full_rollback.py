"""A release whose migration breaks the last known good: the rollback is refused, or the database goes back too."""

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
APPROVED = Policy(database_approval="none")
FULL = {"type": "full", "target_version": "v1"}


def test_a_service_rollback_onto_a_narrower_schema_is_refused_and_offers_the_full_one() -> None:
    simulation = DatabaseSimulation(REFUSING)
    ended = simulation.read(simulation.run())

    assert ended.outcome is Outcome.REFUSED
    assert "email" in ended.reason
    assert "rollback start production --type full --service express-api --target-version v1 --force" in ended.reason
    assert '{"type": "full", "service": "express-api", "target_version": "v1"' in ended.reason
    assert simulation.changes() == []
    assert simulation.neon.calls == []
    assert len(simulation.pages()) == 1


def test_an_additive_migration_lets_the_service_go_back_alone() -> None:
    simulation = DatabaseSimulation(second=ADDS)
    ended = simulation.read(simulation.run())

    assert (ended.outcome, ended.request.type) == (Outcome.SUCCEEDED, RollbackType.SERVICE)
    assert simulation.running() == image("v1")
    assert simulation.neon.calls == []


def test_a_service_does_not_go_back_alone_without_an_observation_of_the_database() -> None:
    simulation = DatabaseSimulation(REFUSING, observed=False)
    ended = simulation.read(simulation.run())

    assert ended.outcome is Outcome.REFUSED
    assert "not been observed" in ended.reason


def test_an_environment_set_to_full_brings_service_and_database_back() -> None:
    simulation = DatabaseSimulation()
    desired = simulation.services.desired_count
    ended = simulation.read(simulation.run())

    assert (ended.outcome, ended.request.type) == (Outcome.SUCCEEDED, RollbackType.FULL), ended.reason
    assert simulation.check(ended, "schema-is-compatible").verdict is Verdict.WARN
    assert simulation.running() == image("v1")
    assert simulation.services.desired_count == desired
    assert simulation.rows() == GOOD
    backup = simulation.backup(ended)
    assert backup is not None
    assert simulation.neon.rows(backup.id) == GOOD + BAD
    assert simulation.branch.protected
    assert simulation.neon.calls.count("restore") == 1
    assert ended.database is not None
    assert ended.database.data_loss is not None
    assert [table.removed_rows for table in ended.database.data_loss.tables] == [2]
    assert ended.open_obligations() == ()
    assert ended.left_to_operator() == ()
    assert simulation.state_of("v2") is ReleaseState.QUARANTINED
    assert simulation.ledger.lease(simulation.branch_key) is None
    report = simulation.notifications.sent[-1].message
    assert f"rollback undo production {ended.id}" in report
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


def test_a_full_rollback_that_needs_approval_is_refused_until_an_operator_forces_it() -> None:
    simulation = DatabaseSimulation(Policy(on_incompatible_schema="full"))
    refused = simulation.read(simulation.run())
    assert refused.outcome is Outcome.REFUSED
    assert "approval" in refused.reason
    assert simulation.neon.calls == []

    forced = simulation.read(simulation.run({**FULL, "force": True, "reason": "approved by Ada"}, "execution-2"))
    assert forced.outcome is Outcome.SUCCEEDED, forced.reason
    assert simulation.rows() == GOOD


def test_without_a_restore_point_a_full_rollback_says_how_to_get_one() -> None:
    simulation = DatabaseSimulation(APPROVED, checkpoint=False)
    ended = simulation.read(simulation.run(FULL))

    assert ended.outcome is Outcome.REFUSED
    assert "run the command checkpoint" in ended.reason
    assert simulation.neon.calls == []
    assert simulation.changes() == []


def test_a_database_without_settings_is_refused_by_name() -> None:
    simulation = DatabaseSimulation(APPROVED)
    simulation.replace(settings=simulation.ports.settings.model_copy(update={"database": None}))
    ended = simulation.read(simulation.run({"type": "database"}))

    assert ended.outcome is Outcome.REFUSED
    assert "no database is set" in ended.reason


def test_a_database_alone_goes_back_to_the_state_that_the_good_release_left_and_its_service_starts_again() -> None:
    simulation = DatabaseSimulation(APPROVED, second=ADDS)
    desired = simulation.services.desired_count
    simulation.alarms.recover(next(iter(simulation.alarms.in_alarm)))
    given = {"type": "database", "reason": "wrong rows", "force": True}  # no schema of v2 was recorded
    ended = simulation.read(simulation.run(given))

    assert ended.outcome is Outcome.SUCCEEDED, ended.reason
    assert simulation.rows() == GOOD
    assert simulation.running() == image("v2")
    assert simulation.services.desired_count == desired
    assert simulation.state_of("v2") is ReleaseState.CANDIDATE
    assert "database to" in ended.reason


def test_a_restore_that_neon_refuses_leaves_both_as_they_were() -> None:
    simulation = DatabaseSimulation()
    simulation.neon.restrict(BRANCH, "restore", "the branch is being moved")
    ended = simulation.read(simulation.run())

    assert ended.outcome is Outcome.REFUSED
    assert "being moved" in ended.reason
    assert "nothing was changed" in ended.reason
    assert simulation.running() == image("v2")
    assert simulation.services.desired_count > 0
    assert simulation.rows() == GOOD + BAD


def test_a_restore_that_fails_half_way_leaves_the_service_fenced_and_says_what_is_where() -> None:
    simulation = DatabaseSimulation()
    rollback = simulation.admit()
    while rollback.database is None or rollback.database.backup_id is None:
        rollback = simulation.run_due_step(rollback)
    simulation.sql.schemas[BRANCH] = AFTER  # the restored tables differ from those on the preview
    ended = simulation.run_until(rollback)

    assert ended.outcome is Outcome.FAILED
    assert simulation.services.desired_count == 0
    assert {o.kind for o in ended.left_to_operator()} >= {ObligationKind.FENCE}
    page = simulation.pages()[-1]
    assert "Condition: v2 is the release that the service would start; the data may be overwritten" in page
    assert "backup branch br-" in page
    assert f"services left at zero tasks, so that they do not write to the branch: {SERVICE}" in page


def test_an_undo_brings_back_both() -> None:
    simulation = DatabaseSimulation(APPROVED)
    done = simulation.read(simulation.run(FULL))
    assert done.outcome is Outcome.SUCCEEDED, done.reason
    simulation.neon.settle()
    undone = simulation.read(simulation.run({"type": "full", "undo": done.id}, "execution-2"))

    assert undone.outcome is Outcome.SUCCEEDED, undone.reason
    assert undone.service is not None
    deployed = family_of(undone.service.target_definition_arn or "")
    assert deployed == rollback_family(FAMILY, "production", SERVICE), "decision 2: what was left is no last known good"
    assert simulation.rows() == GOOD + BAD
    assert simulation.running() == image("v2")
    kept = simulation.backup(undone)
    assert kept is not None
    assert simulation.neon.rows(kept.id) == GOOD


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"type": "full", "undo": "express-api-20260101T000000Z-00000000"}, "the ledger has no rollback"),
        ({"type": "database", "pr": 42}, "leave pr out"),
        ({"type": "database", "strategy": "delete"}, "only the branch of a pull request"),
        ({"type": "database", "strategy": "reset"}, "source_branch_id"),
        ({"type": "full", "target_version": "v9"}, "v9 is not in the ledger"),
    ],
)
def test_an_impossible_full_rollback_is_refused_with_the_next_step(given: dict[str, object], said: str) -> None:
    simulation = DatabaseSimulation(APPROVED)
    ended = simulation.read(simulation.run(given))

    assert ended.outcome is Outcome.REFUSED
    assert said in ended.reason
    assert simulation.neon.calls == []
    assert simulation.changes() == []


def test_an_operator_names_the_time_to_which_the_database_goes_back() -> None:
    simulation = DatabaseSimulation(APPROVED, second=ADDS, checkpoint=False)
    simulation.alarms.recover(next(iter(simulation.alarms.in_alarm)))
    at = NOW - timedelta(minutes=25)
    given = {"type": "database", "to": at.isoformat(), "force": True}  # no schema of v2 was recorded
    ended = simulation.read(simulation.run(given))

    assert ended.outcome is Outcome.SUCCEEDED, ended.reason
    assert simulation.rows() == GOOD


def test_a_restore_keeps_the_rows_written_before_the_first_release_that_breaks_the_target() -> None:
    """v2 only added a column, the service alone went back, v1 wrote on, and v3 then dropped the column."""
    simulation = DatabaseSimulation(APPROVED, second=ADDS)
    simulation.ship_v3()
    ended = simulation.read(simulation.run(FULL))

    assert ended.outcome is Outcome.SUCCEEDED, ended.reason
    assert simulation.rows() == GOOD + BAD
    assert ended.plan is not None
    assert ended.plan.database is not None
    assert "before v3" in simulation.check(ended, "restore-point-is-known").reason


def test_after_a_restore_the_next_plan_knows_the_schema_that_is_there_now() -> None:
    simulation = DatabaseSimulation()
    simulation.run()

    seen = simulation.ledger.observation(simulation.branch_key)
    assert seen is not None
    assert simulation.ledger.schema(seen.schema_sha256).recorded_schema == BEFORE


@pytest.mark.parametrize(
    ("name", "settings", "given"),
    [
        ("staging", {}, {"type": "database"}),
        ("preview/pr-42", {"branch_id": None, "branch_pattern": "preview/pr-{pr}"}, {"type": "database", "pr": 42}),
    ],
    ids=["staging", "a pull request's"],
)
def test_a_branch_is_reset_to_production_and_its_own_rows_are_kept(
    name: str, settings: dict[str, object], given: dict[str, object]
) -> None:
    simulation = DatabaseSimulation(APPROVED, second=ADDS)
    simulation.alarms.recover(next(iter(simulation.alarms.in_alarm)))
    branch = simulation.neon.create_branch(name, BRANCH, with_endpoint=True, protected=True).branch
    simulation.neon.settle()
    simulation.neon.write(branch.id, 9)
    simulation.neon.write(BRANCH, 10)
    database = {**dict(simulation.database), "branch_id": branch.id, "strategy": "reset", "source_branch_id": BRANCH}
    other = DatabaseSettings.model_validate({**database, **settings})
    simulation.replace(settings=simulation.ports.settings.model_copy(update={"database": other}))
    ended = simulation.read(simulation.run(given))

    assert ended.outcome is Outcome.SUCCEEDED, ended.reason
    assert simulation.neon.rows(branch.id) == [*GOOD, *BAD, 10]
    after = simulation.neon.branch(branch.id)
    assert after is not None
    assert after.protected
    backup = simulation.backup(ended)
    assert backup is not None
    assert simulation.neon.rows(backup.id) == [*GOOD, *BAD, 9]
    assert (simulation.running(), simulation.services.desired_count) == (image("v2"), 2)
    assert simulation.ledger.lease(other.branch_key(given.get("pr"))) is None  # type: ignore[arg-type]


@pytest.mark.parametrize("needs", [AFTER, BEFORE], ids=["needs what is not there then", "works there"])
def test_another_writer_that_can_not_work_with_the_restored_tables_forbids_the_restore(needs: LiveSchema) -> None:
    simulation = DatabaseSimulation()
    extra = Column(type="text", nullable=False, has_default=False)
    tables = needs if needs is BEFORE else LiveSchema(tables={"public.jobs": {"id": extra}, **needs.tables})
    known = ReleaseSchema(journal=applied(FIRST), recorded_schema=tables)
    simulation.ledger.put_schema(known)
    worker = simulation.service_settings.model_copy(update={"name": "worker"})
    services = (*simulation.ports.settings.services, worker)
    simulation.replace(settings=simulation.ports.settings.model_copy(update={"services": services}))
    running = release("v2", service="worker", schema_sha256=known.sha256)
    simulation.ledger.record(running, normalised_definition(definition("v2"), {}))
    planned = simulation.read(
        simulation.run_until(simulation.admit({**FULL, "service": SERVICE, "dry_run": True}), Step.CONCLUDE)
    )

    check = simulation.check(planned, "writer-worker-fits-restored-schema")
    assert check.verdict is (Verdict.PASS if needs is BEFORE else Verdict.FAIL), check.reason
    assert planned.outcome is (Outcome.PLANNED if needs is BEFORE else Outcome.REFUSED)


def test_a_migration_that_a_container_may_have_run_since_the_last_look_is_not_taken_for_absent() -> None:
    """ECS reported only the start of the failed deployment, and the observation was before the container migrated."""
    simulation = DatabaseSimulation(REFUSING)
    seen = ReleaseSchema(journal=applied(FIRST), recorded_schema=BEFORE)
    last = simulation.ledger.observation(simulation.branch_key)
    assert last is not None
    simulation.ledger.put_schema(seen)
    simulation.ledger.put_observation(last.model_copy(update={"schema_sha256": seen.sha256}))
    ended = simulation.read(simulation.run())

    assert ended.outcome is Outcome.REFUSED
    assert "v2 may have applied 0001_drop_email since the last observation" in ended.reason
