"""Observations of the database decide in advance whether a service rollback is possible."""

from datetime import timedelta
from typing import Any

import pytest
from simulations.migrations import (
    ADDS,
    BEGAN,
    BRANCH,
    COMPLETED,
    DATABASE,
    DROPS,
    FIRST,
    MAIN,
    MigrationSimulation,
    users,
)
from simulations.service import CANDIDATE, PROMOTED, Simulation
from support.builders import NOW, SERVICE

from rollback.check import Check, Verdict
from rollback.conclusion.release_state import set_release_state as judge_release
from rollback.database.observation.observe import observe
from rollback.database.preflight.branch_context import BranchContext
from rollback.domain.database.branch_observation import Observation
from rollback.domain.database.branch_settings import BranchSettings
from rollback.domain.database.schema_verdict import Compatibility
from rollback.domain.releases.release import Release, ReleaseState
from rollback.domain.settings.database import DatabaseSettings, Strategy
from rollback.domain.settings.policy import Policy
from rollback.domain.standing_plan import StandingPlan
from rollback.errors import Conflict, ExternalServiceError
from rollback.promotion.promote import judge_bake, promote_by_operator, record_deployment
from rollback.promotion.readiness import prepare_standing_plan
from rollback.resources.database.errors import AccessRefused, Unreachable
from rollback.resources.database.live_schema import LiveSchema

BREAKING, COMPATIBLE, UNKNOWN = Compatibility.BREAKING, Compatibility.COMPATIBLE, Compatibility.UNKNOWN


def schema_verdict_of(simulation: MigrationSimulation, version: str) -> Compatibility:
    schema_verdict = simulation.target(version).schema_verdict
    assert schema_verdict is not None
    return schema_verdict.compatibility


def restore_point(simulation: Simulation) -> Check:
    plan = simulation.ledger.standing_plan(SERVICE)
    assert plan is not None
    return next(check for check in plan.readiness if check.name == "restore-point-is-available")


def simulation_with_one_observation() -> MigrationSimulation:
    """Return a simulation in which v1 runs and the database was observed once."""
    simulation = MigrationSimulation()
    prepare_standing_plan(SERVICE, simulation.ports)
    assert observe(simulation.ports) is not None
    return simulation


def simulation_with_v2(structure: LiveSchema, *shipped: Any) -> MigrationSimulation:
    """Return a simulation in which v2 was deployed with its migrations after the observation."""
    simulation = simulation_with_one_observation()
    simulation.deploy_release("v2", structure, *shipped)
    return simulation


# Content of an observation


def test_an_observation_records_the_live_structure_and_journal() -> None:
    simulation = simulation_with_one_observation()
    schema = simulation.ledger.schema(simulation.observation().schema_sha256)
    assert (schema.recorded_schema, schema.journal) == (users("id", "name"), simulation.sql.journals[MAIN])
    assert simulation.observation().observed_at == NOW


def test_an_observation_records_the_end_of_the_log_with_its_timeline_so_that_a_dry_run_can_measure_from_a_point() -> (
    None
):
    simulation = simulation_with_one_observation()
    settings = simulation.ports.settings.database
    assert settings is not None
    assert settings.branch_id is not None
    context = BranchContext(
        settings=BranchSettings.of(simulation.ports.settings, settings.branch_id),
        neon=simulation.ports.neon,
        sql=simulation.sql,
    )
    head = simulation.sql.head(context.address(settings.branch_id))
    observation = simulation.observation()
    assert (observation.lsn, observation.timeline) == (head.lsn, head.timeline)
    older_record = observation.model_copy(update={"lsn": None})
    assert "lsn" not in older_record.model_dump_json()
    assert Observation.model_validate_json(older_record.model_dump_json()) == older_record


def test_an_observation_is_repeated_if_a_migration_ends_between_both_queries() -> None:
    simulation = MigrationSimulation()
    live_schema = simulation.sql.live_schema

    def migrate_before_read(address: Any) -> LiveSchema:
        if len(simulation.sql.journals[MAIN]) == 1:
            simulation.apply_migrations(users("id"), FIRST, DROPS)
        return live_schema(address)

    simulation.sql.live_schema = migrate_before_read  # type: ignore[method-assign]
    observe(simulation.ports)
    schema = simulation.ledger.schema(simulation.observation().schema_sha256)
    assert (schema.recorded_schema, len(schema.journal or ())) == (users("id"), 2)


@pytest.mark.parametrize("error", [Unreachable("the compute is waking up"), AccessRefused("the key is revoked")])
def test_a_failed_observation_raises_and_keeps_the_previous_observation(error: ExternalServiceError) -> None:
    simulation = simulation_with_one_observation()
    recorded_observation = simulation.observation()

    def refused(*args: object, **kwargs: object) -> Any:
        raise error

    simulation.neon.connection_uri = refused  # type: ignore[method-assign]
    simulation.pass_time(minutes=61)
    with pytest.raises(ExternalServiceError):
        observe(simulation.ports)
    assert simulation.observation() == recorded_observation


@pytest.mark.parametrize("leased_name", [SERVICE, BRANCH])
def test_no_observation_is_made_while_a_rollback_may_be_changing_the_branch(leased_name: str) -> None:
    simulation = MigrationSimulation()
    simulation.ledger.acquire(leased_name, "r", NOW, NOW + timedelta(minutes=10))
    assert observe(simulation.ports) is None
    assert simulation.ledger.observation(BRANCH) is None
    simulation.pass_time(minutes=11)  # it ran out
    assert observe(simulation.ports) is not None


def test_an_observation_during_which_a_rollback_begins_is_not_recorded() -> None:
    simulation = MigrationSimulation()
    live_schema = simulation.sql.live_schema

    def begin_rollback_during_read(address: Any) -> LiveSchema:
        simulation.ledger.acquire(BRANCH, "r", NOW, NOW + timedelta(minutes=10))
        return live_schema(address)

    simulation.sql.live_schema = begin_rollback_during_read  # type: ignore[method-assign]
    assert observe(simulation.ports) is None
    assert simulation.ledger.observation(BRANCH) is None


def test_branches_of_pull_requests_are_not_observed_in_advance() -> None:
    fields = {**DATABASE.model_dump(), "branch_id": None, "branch_pattern": "preview/pr-{pr}"}
    simulation = MigrationSimulation(settings=DatabaseSettings.model_validate(fields))
    assert observe(simulation.ports) is None
    assert prepare_standing_plan(SERVICE, simulation.ports).targets[0].schema_verdict is None
    assert restore_point(simulation).verdict is Verdict.SKIPPED


def test_an_environment_without_a_database_has_neither_an_observation_nor_a_verdict() -> None:
    simulation = Simulation()
    simulation.ship("v1", PROMOTED, hours_ago=48)
    assert observe(simulation.ports) is None
    assert prepare_standing_plan(SERVICE, simulation.ports).targets[0].schema_verdict is None
    assert restore_point(simulation).verdict is Verdict.SKIPPED


# Schema that a release works with


def test_the_first_observation_records_the_schema_of_a_release_promoted_before() -> None:
    simulation = simulation_with_one_observation()
    schema_sha256 = simulation.release("v1").schema_sha256
    assert schema_sha256 is not None
    assert simulation.ledger.schema(schema_sha256).recorded_schema == users("id", "name")


def test_no_schema_is_recorded_for_a_candidate_before_its_promotion() -> None:
    simulation = simulation_with_v2(users("id", "name", "mail"), FIRST, ADDS)
    assert simulation.release("v2").schema_sha256 is None


def promote_v2(simulation: MigrationSimulation) -> None:
    """Let v2 bake and be promoted."""
    cursor = record_deployment(COMPLETED, simulation.ports)
    simulation.pass_time(minutes=16)
    assert "is promoted" in judge_bake(cursor, simulation.ports).summary


def simulation_with_baking_v2() -> MigrationSimulation:
    simulation = MigrationSimulation(policy=Policy(bake_minimum_requests=0))
    prepare_standing_plan(SERVICE, simulation.ports)
    observe(simulation.ports)
    simulation.deploy_release("v2", users("id", "name", "mail"), FIRST, ADDS)
    return simulation


def test_a_promotion_records_the_migrations_that_a_release_shipped_and_its_schema() -> None:
    simulation = simulation_with_baking_v2()
    promote_v2(simulation)
    release = simulation.release("v2")
    assert (release.state, simulation.target("v2").release.schema_sha256) == (PROMOTED, release.schema_sha256)
    schema = simulation.ledger.schema(str(release.schema_sha256))
    assert (schema.shipped, schema.recorded_schema) == ((FIRST, ADDS), users("id", "name", "mail"))
    assert schema.journal == simulation.sql.journals[MAIN]


def test_a_promotion_waits_for_no_observation_and_the_next_one_records_the_schema() -> None:
    simulation = MigrationSimulation(policy=Policy(bake_minimum_requests=0))
    observe(simulation.ports)
    simulation.pass_time(minutes=5)
    simulation.start_versioned_deployment("v2")
    for _ in range(3):
        simulation.pass_time(seconds=20)
    promote_v2(simulation)
    assert (simulation.state_of("v2"), simulation.release("v2").schema_sha256) == (
        PROMOTED,
        None,
    )  # seen before v2 only
    observe(simulation.ports)
    assert simulation.release("v2").schema_sha256 is not None


def test_a_release_that_does_not_run_never_gets_the_schema_of_the_running_release() -> None:
    simulation = MigrationSimulation()
    simulation.ship("v2")
    observe(simulation.ports)
    assert promote_by_operator(SERVICE, "v1", "ann", simulation.ports).schema_sha256 is None
    simulation.ledger.set_release_state(simulation.release("v1"), CANDIDATE, NOW, "cleared")
    assert promote_by_operator(SERVICE, "v1", "ann", simulation.ports).state is PROMOTED
    assert simulation.release("v1").schema_sha256 is None


def test_a_release_is_promoted_although_the_ledger_can_not_store_its_schema() -> None:
    simulation = simulation_with_baking_v2()

    def refuse_item(*args: object) -> Any:
        raise ExternalServiceError("the schema takes 500000 bytes compressed")

    simulation.ledger.put_schema = refuse_item  # type: ignore[assignment, method-assign]
    promote_v2(simulation)
    assert simulation.release("v2").schema_sha256 is None


def test_the_second_writer_of_a_schema_reads_the_release_again() -> None:
    simulation = MigrationSimulation()
    know = simulation.ledger.set_release_schema
    concurrent_writes: list[Release] = []

    def promote_before_write(release: Release, sha256: str) -> Release:
        if not concurrent_writes:
            concurrent_writes.append(simulation.ledger.set_release_state(release, PROMOTED, NOW, "promoted again"))
        return know(release, sha256)

    simulation.ledger.set_release_schema = promote_before_write  # type: ignore[assignment, method-assign]
    observe(simulation.ports)
    assert simulation.release("v1").schema_sha256 is not None
    assert simulation.release("v1").state_reason == "promoted again"


# The verdict that stands


def test_a_release_whose_column_was_dropped_is_incompatible() -> None:
    simulation = simulation_with_v2(users("id"), FIRST, DROPS)
    assert schema_verdict_of(simulation, "v1") is BREAKING
    schema_verdict = simulation.target("v1").schema_verdict
    assert schema_verdict is not None
    assert "public.users.name is gone" in schema_verdict.reason
    assert (schema_verdict.findings, schema_verdict.since) == (None, (DROPS.tag,))  # cut to what is needed


def test_a_release_that_only_lacks_added_columns_is_compatible() -> None:
    assert schema_verdict_of(simulation_with_v2(users("id", "name", "mail"), FIRST, ADDS), "v1") is COMPATIBLE


def test_the_verdict_is_unknown_before_the_first_observation() -> None:
    simulation = MigrationSimulation()
    prepare_standing_plan(SERVICE, simulation.ports)
    assert schema_verdict_of(simulation, "v1") is UNKNOWN
    assert restore_point(simulation).verdict is Verdict.WARN


def test_a_deployment_makes_the_verdict_unknown_until_the_next_observation() -> None:
    simulation = simulation_with_one_observation()
    simulation.pass_time(minutes=5)
    simulation.start_versioned_deployment("v2")
    record_deployment(BEGAN, simulation.ports)  # the other function that listens is slower
    assert schema_verdict_of(simulation, "v1") is UNKNOWN
    observe(simulation.ports)
    assert schema_verdict_of(simulation, "v1") is COMPATIBLE


def test_an_observation_replaces_the_verdicts_and_keeps_the_rest_of_the_standing_plan() -> None:
    simulation = simulation_with_one_observation()
    recorded_plan = simulation.plan()
    simulation.pass_time(minutes=30)
    simulation.apply_migrations(users("id"), FIRST, DROPS)
    now = simulation.clock.now()
    observe(simulation.ports)
    current_plan = simulation.plan()
    assert (current_plan.computed_at, current_plan.database_seen_at) == (recorded_plan.computed_at, now)
    assert [check for check in current_plan.readiness if check.name != "restore-point-is-available"] == [
        check for check in recorded_plan.readiness if check.name != "restore-point-is-available"
    ]
    assert schema_verdict_of(simulation, "v1") is BREAKING


def test_a_release_quarantined_during_an_observation_does_not_return_to_the_standing_plan() -> None:
    simulation = simulation_with_one_observation()
    amend = simulation.ledger.replace_standing_plan
    attempts: list[int] = []

    def quarantine_before_write(known_plan: StandingPlan, amended_plan: StandingPlan) -> None:
        if not attempts:
            attempts.append(1)
            judge_release(
                simulation.release("v1"), ReleaseState.QUARANTINED, "left", simulation.clock.now(), simulation.ports
            )
        amend(known_plan, amended_plan)

    simulation.ledger.replace_standing_plan = quarantine_before_write  # type: ignore[method-assign]
    simulation.pass_time(minutes=1)
    observe(simulation.ports)
    assert simulation.plan().targets == ()


def test_a_standing_plan_replaced_during_each_attempt_raises_a_conflict() -> None:
    simulation = simulation_with_one_observation()

    def always(known_plan: StandingPlan, amended_plan: StandingPlan) -> None:
        raise Conflict("put anew")

    simulation.ledger.replace_standing_plan = always  # type: ignore[method-assign]
    with pytest.raises(Conflict, match="its verdicts are outdated"):
        observe(simulation.ports)


# The way back of the data


def test_a_restore_point_in_neons_history_passes_the_check() -> None:
    simulation = simulation_with_v2(users("id"), FIRST, DROPS)
    assert restore_point(simulation).verdict is Verdict.PASS
    assert simulation.plan().is_ready


def test_a_required_restore_point_outside_neons_history_fails_the_check() -> None:
    simulation = simulation_with_v2(users("id"), FIRST, DROPS)
    simulation.pass_time(hours=25)
    observe(simulation.ports)
    check = restore_point(simulation)
    assert check.verdict is Verdict.FAIL
    assert "restore-point-is-in-window" in check.reason
    assert not simulation.plan().is_ready


def test_a_lost_restore_point_is_a_warning_if_a_service_rollback_is_possible() -> None:
    simulation = simulation_with_v2(users("id", "name", "mail"), FIRST, ADDS)
    simulation.pass_time(hours=25)
    observe(simulation.ports)
    assert restore_point(simulation).verdict is Verdict.WARN
    assert "can be rolled back without the database" in restore_point(simulation).reason
    assert simulation.plan().is_ready


def test_the_check_of_a_missing_restore_point_names_the_checkpoint_command() -> None:
    simulation = MigrationSimulation()
    simulation.ship("v2")
    prepare_standing_plan(SERVICE, simulation.ports)
    observe(simulation.ports)
    check = restore_point(simulation)
    assert check.verdict is Verdict.WARN
    assert "rollback checkpoint production --service express-api --version VERSION" in check.reason


def test_an_outdated_observation_is_a_warning() -> None:
    simulation = simulation_with_v2(users("id"), FIRST, DROPS)
    simulation.pass_time(minutes=121)
    prepare_standing_plan(SERVICE, simulation.ports)
    assert restore_point(simulation).verdict is Verdict.WARN
    assert "121 minutes ago" in restore_point(simulation).reason


def test_a_reset_needs_its_source_branch_and_no_restore_point() -> None:
    fields = {**DATABASE.model_dump(), "strategy": Strategy.RESET, "source_branch_id": "br-gone"}
    simulation = MigrationSimulation(settings=DatabaseSettings.model_validate(fields))
    simulation.ship("v2")
    prepare_standing_plan(SERVICE, simulation.ports)
    observe(simulation.ports)
    assert "source-exists" in restore_point(simulation).reason
