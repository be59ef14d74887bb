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
    stage = DatabaseSimulation(REFUSING)
    ended = stage.read(stage.run())

    assert ended.outcome is Outcome.REFUSED
    assert "email" in ended.reason
    assert "rollback start production --type full --service express-api --target-version v1 --force" in ended.reason
    assert '{"type": "full", "service": "express-api", "target_version": "v1"' in ended.reason
    assert stage.changes() == []
    assert stage.neon.calls == []
    assert len(stage.pages()) == 1


def test_an_additive_migration_lets_the_service_go_back_alone() -> None:
    stage = DatabaseSimulation(second=ADDS)
    ended = stage.read(stage.run())

    assert (ended.outcome, ended.request.type) == (Outcome.SUCCEEDED, RollbackType.SERVICE)
    assert stage.running() == image("v1")
    assert stage.neon.calls == []


def test_a_service_does_not_go_back_alone_without_an_observation_of_the_database() -> None:
    stage = DatabaseSimulation(REFUSING, observed=False)
    ended = stage.read(stage.run())

    assert ended.outcome is Outcome.REFUSED
    assert "not been observed" in ended.reason


def test_an_environment_set_to_full_brings_service_and_database_back() -> None:
    stage = DatabaseSimulation()
    desired = stage.services.desired_count
    ended = stage.read(stage.run())

    assert (ended.outcome, ended.request.type) == (Outcome.SUCCEEDED, RollbackType.FULL), ended.reason
    assert stage.check(ended, "schema-is-compatible").verdict is Verdict.WARN
    assert stage.running() == image("v1")
    assert stage.services.desired_count == desired
    assert stage.rows() == GOOD
    backup = stage.backup(ended)
    assert backup is not None
    assert stage.neon.rows(backup.id) == GOOD + BAD
    assert stage.branch.protected
    assert stage.neon.calls.count("restore") == 1
    assert ended.database is not None
    assert ended.database.data_loss is not None
    assert [table.removed_rows for table in ended.database.data_loss.tables] == [2]
    assert ended.open_obligations() == ()
    assert ended.left_to_operator() == ()
    assert stage.state_of("v2") is ReleaseState.QUARANTINED
    assert stage.ledger.lease(stage.branch_key) is None
    report = stage.notifications.sent[-1].message
    assert f"rollback undo production {ended.id}" in report
    assert "gone: 2" in report


def test_the_bad_release_never_runs_on_restored_data() -> None:
    stage = DatabaseSimulation()
    rollback = stage.admit()
    for _ in range(300):
        rollback = stage.run_due_step(rollback)
        if stage.rows() == GOOD and stage.services.unstopped_tasks(stage.world.settings.services[0]):
            assert stage.running() == image("v1")
        if rollback.concluded_at is not None:
            break
    assert rollback.outcome is Outcome.SUCCEEDED


def test_a_full_rollback_that_needs_approval_is_refused_until_an_operator_forces_it() -> None:
    stage = DatabaseSimulation(Policy(on_incompatible_schema="full"))
    refused = stage.read(stage.run())
    assert refused.outcome is Outcome.REFUSED
    assert "approval" in refused.reason
    assert stage.neon.calls == []

    forced = stage.read(stage.run({**FULL, "force": True, "reason": "approved by Ada"}, "execution-2"))
    assert forced.outcome is Outcome.SUCCEEDED, forced.reason
    assert stage.rows() == GOOD


def test_without_a_restore_point_a_full_rollback_says_how_to_get_one() -> None:
    stage = DatabaseSimulation(APPROVED, checkpoint=False)
    ended = stage.read(stage.run(FULL))

    assert ended.outcome is Outcome.REFUSED
    assert "rollback checkpoint" in ended.reason
    assert stage.neon.calls == []
    assert stage.changes() == []


def test_a_database_without_settings_is_refused_by_name() -> None:
    stage = DatabaseSimulation(APPROVED)
    stage.replace(settings=stage.world.settings.model_copy(update={"database": None}))
    ended = stage.read(stage.run({"type": "database"}))

    assert ended.outcome is Outcome.REFUSED
    assert "no database is set" in ended.reason


def test_a_database_alone_goes_back_to_the_state_that_the_good_release_left_and_its_service_starts_again() -> None:
    stage = DatabaseSimulation(APPROVED, second=ADDS)
    desired = stage.services.desired_count
    stage.alarms.recover(next(iter(stage.alarms.in_alarm)))
    given = {"type": "database", "reason": "wrong rows", "force": True}  # no schema of v2 was recorded
    ended = stage.read(stage.run(given))

    assert ended.outcome is Outcome.SUCCEEDED, ended.reason
    assert stage.rows() == GOOD
    assert stage.running() == image("v2")
    assert stage.services.desired_count == desired
    assert stage.state_of("v2") is ReleaseState.CANDIDATE
    assert "database to" in ended.reason


def test_a_restore_that_neon_refuses_leaves_both_as_they_were() -> None:
    stage = DatabaseSimulation()
    stage.neon.restrict(BRANCH, "restore", "the branch is being moved")
    ended = stage.read(stage.run())

    assert ended.outcome is Outcome.REFUSED
    assert "being moved" in ended.reason
    assert "nothing was changed" in ended.reason
    assert stage.running() == image("v2")
    assert stage.services.desired_count > 0
    assert stage.rows() == GOOD + BAD


def test_a_restore_that_fails_half_way_leaves_the_service_fenced_and_says_what_is_where() -> None:
    stage = DatabaseSimulation()
    rollback = stage.admit()
    while rollback.database is None or rollback.database.backup_id is None:
        rollback = stage.run_due_step(rollback)
    stage.sql.schemas[BRANCH] = AFTER  # the restored tables differ from those on the preview
    ended = stage.run_until(rollback)

    assert ended.outcome is Outcome.FAILED
    assert stage.services.desired_count == 0
    assert {o.kind for o in ended.left_to_operator()} >= {ObligationKind.FENCE}
    page = stage.pages()[-1]
    assert "Condition: v2 is the release that the service would start; the data may be overwritten" in page
    assert "backup branch br-" in page
    assert f"left at zero tasks, so that nothing writes to it: {SERVICE}" in page


def test_an_undo_brings_back_both() -> None:
    stage = DatabaseSimulation(APPROVED)
    done = stage.read(stage.run(FULL))
    assert done.outcome is Outcome.SUCCEEDED, done.reason
    stage.neon.settle()
    undone = stage.read(stage.run({"type": "full", "undo": done.id}, "execution-2"))

    assert undone.outcome is Outcome.SUCCEEDED, undone.reason
    assert undone.service is not None
    deployed = family_of(undone.service.target_definition_arn or "")
    assert deployed == rollback_family(FAMILY, "production", SERVICE), "decision 2: what was left is no last known good"
    assert stage.rows() == GOOD + BAD
    assert stage.running() == image("v2")
    kept = stage.backup(undone)
    assert kept is not None
    assert stage.neon.rows(kept.id) == GOOD


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
    stage = DatabaseSimulation(APPROVED)
    ended = stage.read(stage.run(given))

    assert ended.outcome is Outcome.REFUSED
    assert said in ended.reason
    assert stage.neon.calls == []
    assert stage.changes() == []


def test_an_operator_names_the_time_to_which_the_database_goes_back() -> None:
    stage = DatabaseSimulation(APPROVED, second=ADDS, checkpoint=False)
    stage.alarms.recover(next(iter(stage.alarms.in_alarm)))
    at = NOW - timedelta(minutes=25)
    given = {"type": "database", "to": at.isoformat(), "force": True}  # no schema of v2 was recorded
    ended = stage.read(stage.run(given))

    assert ended.outcome is Outcome.SUCCEEDED, ended.reason
    assert stage.rows() == GOOD


def test_a_restore_keeps_the_rows_written_before_the_first_release_that_breaks_the_target() -> None:
    """v2 only added a column, the service alone went back, v1 wrote on, and v3 then dropped the column."""
    stage = DatabaseSimulation(APPROVED, second=ADDS)
    stage.ship_v3()
    ended = stage.read(stage.run(FULL))

    assert ended.outcome is Outcome.SUCCEEDED, ended.reason
    assert stage.rows() == GOOD + BAD
    assert ended.plan is not None
    assert ended.plan.database is not None
    assert "before v3" in stage.check(ended, "restore-point-known").reason


def test_after_a_restore_the_next_plan_knows_the_schema_that_is_there_now() -> None:
    stage = DatabaseSimulation()
    stage.run()

    seen = stage.ledger.observation(stage.branch_key)
    assert seen is not None
    assert stage.ledger.schema(seen.schema_sha256).recorded_schema == BEFORE


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
    stage = DatabaseSimulation(APPROVED, second=ADDS)
    stage.alarms.recover(next(iter(stage.alarms.in_alarm)))
    branch = stage.neon.create_branch(name, BRANCH, with_endpoint=True, protected=True).branch
    stage.neon.settle()
    stage.neon.write(branch.id, 9)
    stage.neon.write(BRANCH, 10)
    database = {**dict(stage.database), "branch_id": branch.id, "strategy": "reset", "source_branch_id": BRANCH}
    other = DatabaseSettings.model_validate({**database, **settings})
    stage.replace(settings=stage.world.settings.model_copy(update={"database": other}))
    ended = stage.read(stage.run(given))

    assert ended.outcome is Outcome.SUCCEEDED, ended.reason
    assert stage.neon.rows(branch.id) == [*GOOD, *BAD, 10]
    after = stage.neon.branch(branch.id)
    assert after is not None
    assert after.protected
    backup = stage.backup(ended)
    assert backup is not None
    assert stage.neon.rows(backup.id) == [*GOOD, *BAD, 9]
    assert (stage.running(), stage.services.desired_count) == (image("v2"), 2)
    assert stage.ledger.lease(other.lease_of(given.get("pr"))) is None  # type: ignore[arg-type]


@pytest.mark.parametrize("needs", [AFTER, BEFORE], ids=["needs what is not there then", "works there"])
def test_another_writer_that_can_not_work_with_the_restored_tables_forbids_the_restore(needs: LiveSchema) -> None:
    stage = DatabaseSimulation()
    extra = Column(type="text", nullable=False, has_default=False)
    tables = needs if needs is BEFORE else LiveSchema(tables={"public.jobs": {"id": extra}, **needs.tables})
    known = ReleaseSchema(journal=applied(FIRST), recorded_schema=tables)
    stage.ledger.put_schema(known)
    worker = stage.world.settings.services[0].model_copy(update={"name": "worker"})
    services = (*stage.world.settings.services, worker)
    stage.replace(settings=stage.world.settings.model_copy(update={"services": services}))
    running = release("v2", service="worker", schema_sha256=known.sha256)
    stage.ledger.record(running, normalised_definition(definition("v2"), {}))
    planned = stage.read(stage.run_until(stage.admit({**FULL, "service": SERVICE, "dry_run": True}), Step.CONCLUDE))

    check = stage.check(planned, "writer-fits worker")
    assert check.verdict is (Verdict.PASS if needs is BEFORE else Verdict.FAIL), check.reason
    assert planned.outcome is (Outcome.PLANNED if needs is BEFORE else Outcome.REFUSED)


def test_a_migration_that_a_container_may_have_run_since_the_last_look_is_not_taken_for_absent() -> None:
    """ECS reported only the start of the failed deployment, and the observation was before the container migrated."""
    stage = DatabaseSimulation(REFUSING)
    seen = ReleaseSchema(journal=applied(FIRST), recorded_schema=BEFORE)
    last = stage.ledger.observation(stage.branch_key)
    assert last is not None
    stage.ledger.put_schema(seen)
    stage.ledger.put_observation(last.model_copy(update={"schema_sha256": seen.sha256}))
    ended = stage.read(stage.run())

    assert ended.outcome is Outcome.REFUSED
    assert "v2 may have applied 0001_drop_email since the last observation" in ended.reason
