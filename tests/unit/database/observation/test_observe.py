"""Observations of the database ahead of need decide whether a release may go back alone."""

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
from rollback.domain.database.schema_verdict import Compatibility
from rollback.domain.releases.release import Release, ReleaseState
from rollback.domain.settings.database import DatabaseSettings, Strategy
from rollback.domain.settings.policy import Policy
from rollback.domain.standing_plan import StandingPlan
from rollback.errors import Conflict, ExternalServiceError
from rollback.promotion.promote import judge_bake, promote_by_hand, record_deployment
from rollback.promotion.readiness import prepare_standing_plan
from rollback.resources.database.errors import AccessRefused, Unreachable
from rollback.resources.database.live_schema import LiveSchema

BREAKING, COMPATIBLE, UNKNOWN = Compatibility.BREAKING, Compatibility.COMPATIBLE, Compatibility.UNKNOWN


def verdict(stage: MigrationSimulation, version: str) -> Compatibility:
    found = stage.target(version).schema_verdict
    assert found is not None
    return found.compatibility


def restore_point(stage: Simulation) -> Check:
    plan = stage.ledger.standing_plan(SERVICE)
    assert plan is not None
    return next(check for check in plan.readiness if check.name == "restore-point")


def seen_once() -> MigrationSimulation:
    """v1 runs, and the database was observed once."""
    stage = MigrationSimulation()
    prepare_standing_plan(SERVICE, stage.world)
    assert observe(stage.world) is not None
    return stage


def with_v2(structure: LiveSchema, *shipped: Any) -> MigrationSimulation:
    """v2 was deployed with its migrations after that."""
    stage = seen_once()
    stage.deploy_release("v2", structure, *shipped)
    return stage


# Content of an observation


def test_an_observation_records_the_live_structure_and_journal() -> None:
    stage = seen_once()
    kept = stage.ledger.schema(stage.observation().schema_sha256)
    assert (kept.recorded_schema, kept.journal) == (users("id", "name"), stage.sql.journals[MAIN])
    assert stage.observation().observed_at == NOW


def test_an_observation_reads_again_if_a_migration_ends_between_its_two_queries() -> None:
    stage = MigrationSimulation()
    look = stage.sql.live_schema

    def migrated_first(address: Any) -> LiveSchema:
        if len(stage.sql.journals[MAIN]) == 1:
            stage.apply_migrations(users("id"), FIRST, DROPS)
        return look(address)

    stage.sql.live_schema = migrated_first  # type: ignore[method-assign]
    observe(stage.world)
    kept = stage.ledger.schema(stage.observation().schema_sha256)
    assert (kept.recorded_schema, len(kept.journal or ())) == (users("id"), 2)


@pytest.mark.parametrize("error", [Unreachable("the compute is waking up"), AccessRefused("the key is revoked")])
def test_a_failed_observation_raises_and_leaves_the_last_one(error: ExternalServiceError) -> None:
    stage = seen_once()
    before = stage.observation()

    def refused(*given: object, **named: object) -> Any:
        raise error

    stage.neon.connection_uri = refused  # type: ignore[method-assign]
    stage.pass_time(minutes=61)
    with pytest.raises(ExternalServiceError):
        observe(stage.world)
    assert stage.observation() == before


@pytest.mark.parametrize("held", [SERVICE, BRANCH])
def test_no_observation_is_made_while_a_rollback_may_be_changing_the_branch(held: str) -> None:
    stage = MigrationSimulation()
    stage.ledger.acquire(held, "r", NOW, NOW + timedelta(minutes=10))
    assert observe(stage.world) is None
    assert stage.ledger.observation(BRANCH) is None
    stage.pass_time(minutes=11)  # it ran out
    assert observe(stage.world) is not None


def test_an_observation_during_which_a_rollback_begins_is_not_recorded() -> None:
    stage = MigrationSimulation()
    look = stage.sql.live_schema

    def begun_meanwhile(address: Any) -> LiveSchema:
        stage.ledger.acquire(BRANCH, "r", NOW, NOW + timedelta(minutes=10))
        return look(address)

    stage.sql.live_schema = begun_meanwhile  # type: ignore[method-assign]
    assert observe(stage.world) is None
    assert stage.ledger.observation(BRANCH) is None


def test_branches_of_pull_requests_are_not_observed_ahead_of_need() -> None:
    given = {**DATABASE.model_dump(), "branch_id": None, "branch_pattern": "preview/pr-{pr}"}
    stage = MigrationSimulation(settings=DatabaseSettings.model_validate(given))
    assert observe(stage.world) is None
    assert prepare_standing_plan(SERVICE, stage.world).targets[0].schema_verdict is None
    assert restore_point(stage).verdict is Verdict.SKIPPED


def test_without_a_database_there_is_neither_an_observation_nor_a_verdict() -> None:
    stage = Simulation()
    stage.ship("v1", PROMOTED, hours_ago=48)
    assert observe(stage.world) is None
    assert prepare_standing_plan(SERVICE, stage.world).targets[0].schema_verdict is None
    assert restore_point(stage).verdict is Verdict.SKIPPED


# Schema that a release works with


def test_the_first_observation_records_the_schema_of_a_release_promoted_before() -> None:
    stage = seen_once()
    known = stage.release("v1").schema_sha256
    assert known is not None
    assert stage.ledger.schema(known).recorded_schema == users("id", "name")


def test_no_schema_is_recorded_for_a_candidate_before_its_promotion() -> None:
    stage = with_v2(users("id", "name", "mail"), FIRST, ADDS)
    assert stage.release("v2").schema_sha256 is None


def promoted(stage: MigrationSimulation) -> None:
    """v2 bakes and is promoted."""
    cursor = record_deployment(COMPLETED, stage.world)
    stage.pass_time(minutes=16)
    assert "is promoted" in judge_bake(cursor, stage.world).summary


def baking() -> MigrationSimulation:
    stage = MigrationSimulation(policy=Policy(bake_minimum_requests=0))
    prepare_standing_plan(SERVICE, stage.world)
    observe(stage.world)
    stage.deploy_release("v2", users("id", "name", "mail"), FIRST, ADDS)
    return stage


def test_a_promotion_records_the_migrations_that_a_release_shipped_and_its_schema() -> None:
    stage = baking()
    promoted(stage)
    known = stage.release("v2")
    assert (known.state, stage.target("v2").release.schema_sha256) == (PROMOTED, known.schema_sha256)
    schema = stage.ledger.schema(str(known.schema_sha256))
    assert (schema.shipped, schema.recorded_schema) == ((FIRST, ADDS), users("id", "name", "mail"))
    assert schema.journal == stage.sql.journals[MAIN]


def test_a_promotion_waits_for_no_observation_and_the_next_one_records_the_schema() -> None:
    stage = MigrationSimulation(policy=Policy(bake_minimum_requests=0))
    observe(stage.world)
    stage.pass_time(minutes=5)
    stage.start_versioned_deployment("v2")
    for _ in range(3):
        stage.pass_time(seconds=20)
    promoted(stage)
    assert (stage.state_of("v2"), stage.release("v2").schema_sha256) == (PROMOTED, None)  # seen before v2 only
    observe(stage.world)
    assert stage.release("v2").schema_sha256 is not None


def test_a_release_that_does_not_run_never_gets_the_schema_of_the_running_one() -> None:
    stage = MigrationSimulation()
    stage.ship("v2")
    observe(stage.world)
    assert promote_by_hand(SERVICE, "v1", "ann", stage.world).schema_sha256 is None
    stage.ledger.set_release_state(stage.release("v1"), CANDIDATE, NOW, "cleared")
    assert promote_by_hand(SERVICE, "v1", "ann", stage.world).state is PROMOTED
    assert stage.release("v1").schema_sha256 is None


def test_a_release_is_promoted_though_the_ledger_can_not_store_its_schema() -> None:
    stage = baking()

    def too_large(*given: object) -> Any:
        raise ExternalServiceError("the schema takes 500000 bytes compressed")

    stage.ledger.put_schema = too_large  # type: ignore[assignment, method-assign]
    promoted(stage)
    assert stage.release("v2").schema_sha256 is None


def test_the_second_writer_of_a_schema_reads_the_release_again() -> None:
    stage = MigrationSimulation()
    know = stage.ledger.set_release_schema
    others: list[Release] = []

    def judged_first(release: Release, sha256: str) -> Release:
        if not others:
            others.append(stage.ledger.set_release_state(release, PROMOTED, NOW, "promoted again"))
        return know(release, sha256)

    stage.ledger.set_release_schema = judged_first  # type: ignore[assignment, method-assign]
    observe(stage.world)
    assert stage.release("v1").schema_sha256 is not None
    assert stage.release("v1").state_reason == "promoted again"


# The verdict that stands


def test_a_release_whose_column_was_dropped_can_not_go_back_alone() -> None:
    stage = with_v2(users("id"), FIRST, DROPS)
    assert verdict(stage, "v1") is BREAKING
    found = stage.target("v1").schema_verdict
    assert found is not None
    assert "public.users.name is gone" in found.reason
    assert (found.findings, found.since) == (None, (DROPS.tag,))  # cut to what is needed


def test_a_release_that_only_lacks_added_columns_can_go_back_alone() -> None:
    assert verdict(with_v2(users("id", "name", "mail"), FIRST, ADDS), "v1") is COMPATIBLE


def test_the_verdict_is_unknown_before_the_first_observation() -> None:
    stage = MigrationSimulation()
    prepare_standing_plan(SERVICE, stage.world)
    assert verdict(stage, "v1") is UNKNOWN
    assert restore_point(stage).verdict is Verdict.WARN


def test_a_deployment_makes_the_verdict_unknown_until_the_next_observation() -> None:
    stage = seen_once()
    stage.pass_time(minutes=5)
    stage.start_versioned_deployment("v2")
    record_deployment(BEGAN, stage.world)  # the other function that listens is slower
    assert verdict(stage, "v1") is UNKNOWN
    observe(stage.world)
    assert verdict(stage, "v1") is COMPATIBLE


def test_an_observation_replaces_the_verdicts_and_keeps_the_rest_of_the_standing_plan() -> None:
    stage = seen_once()
    before = stage.plan()
    stage.pass_time(minutes=30)
    stage.apply_migrations(users("id"), FIRST, DROPS)
    now = stage.clock.now()
    observe(stage.world)
    after = stage.plan()
    assert (after.computed_at, after.database_seen_at) == (before.computed_at, now)
    assert [c for c in after.readiness if c.name != "restore-point"] == [
        c for c in before.readiness if c.name != "restore-point"
    ]
    assert verdict(stage, "v1") is BREAKING


def test_a_release_quarantined_meanwhile_does_not_return_to_the_standing_plan() -> None:
    stage = seen_once()
    amend = stage.ledger.replace_standing_plan
    judged: list[int] = []

    def quarantined_first(read: StandingPlan, amended: StandingPlan) -> None:
        if not judged:
            judged.append(1)
            judge_release(stage.release("v1"), ReleaseState.QUARANTINED, "left", stage.clock.now(), stage.world)
        amend(read, amended)

    stage.ledger.replace_standing_plan = quarantined_first  # type: ignore[method-assign]
    stage.pass_time(minutes=1)
    observe(stage.world)
    assert stage.plan().targets == ()


def test_a_standing_plan_replaced_during_each_attempt_raises_a_conflict() -> None:
    stage = seen_once()

    def always(read: StandingPlan, amended: StandingPlan) -> None:
        raise Conflict("put anew")

    stage.ledger.replace_standing_plan = always  # type: ignore[method-assign]
    with pytest.raises(Conflict, match="its verdicts are outdated"):
        observe(stage.world)


# The way back of the data


def test_with_a_restore_point_in_neon_s_history_the_data_could_go_back() -> None:
    stage = with_v2(users("id"), FIRST, DROPS)
    assert restore_point(stage).verdict is Verdict.PASS
    assert stage.plan().is_ready


def test_a_restore_point_outside_neon_s_history_fails_a_rollback_that_needs_it() -> None:
    stage = with_v2(users("id"), FIRST, DROPS)
    stage.pass_time(hours=25)
    observe(stage.world)
    found = restore_point(stage)
    assert found.verdict is Verdict.FAIL
    assert "restore-point-in-window" in found.reason
    assert not stage.plan().is_ready


def test_a_lost_restore_point_is_a_warning_if_the_service_can_go_back_alone() -> None:
    stage = with_v2(users("id", "name", "mail"), FIRST, ADDS)
    stage.pass_time(hours=25)
    observe(stage.world)
    assert restore_point(stage).verdict is Verdict.WARN
    assert "can be rolled back without the database" in restore_point(stage).reason
    assert stage.plan().is_ready


def test_without_a_restore_point_the_check_names_the_command_that_records_one() -> None:
    stage = MigrationSimulation()
    stage.ship("v2")
    prepare_standing_plan(SERVICE, stage.world)
    observe(stage.world)
    found = restore_point(stage)
    assert found.verdict is Verdict.WARN
    assert "rollback checkpoint production --service express-api --version VERSION" in found.reason


def test_an_outdated_observation_is_a_warning() -> None:
    stage = with_v2(users("id"), FIRST, DROPS)
    stage.pass_time(minutes=121)
    prepare_standing_plan(SERVICE, stage.world)
    assert restore_point(stage).verdict is Verdict.WARN
    assert "121 minutes ago" in restore_point(stage).reason


def test_a_reset_needs_its_source_branch_and_no_restore_point() -> None:
    given = {**DATABASE.model_dump(), "strategy": Strategy.RESET, "source_branch_id": "br-gone"}
    stage = MigrationSimulation(settings=DatabaseSettings.model_validate(given))
    stage.ship("v2")
    prepare_standing_plan(SERVICE, stage.world)
    observe(stage.world)
    assert "source-exists" in restore_point(stage).reason
