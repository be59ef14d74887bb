"""Rules of the database's part of a plan: the branch, the strategy and its arguments, or the check that refuses it."""

from datetime import timedelta
from typing import Any

import pytest
from support.builders import NOW, SERVICE, release, rollback

from rollback.check import Check, Verdict
from rollback.database.preflight.timeline import BranchHistory, OwnRestore
from rollback.domain.database.migration_impact import ADDITIVE
from rollback.domain.database.plan import DatabasePlan
from rollback.domain.database.progress import DeletionProgress, OriginalBranch, RestorePoint, RestoreProgress
from rollback.domain.database.release_schema import ShippedMigration
from rollback.domain.database.restore_points import RecordedPoint
from rollback.domain.database.schema_verdict import Compatibility, JournalRelation, SchemaVerdict
from rollback.domain.plan import Plan
from rollback.domain.releases.release import ReleaseState
from rollback.domain.releases.release_names import NameMatch
from rollback.domain.request import Request, RollbackType
from rollback.domain.rollback import Rollback
from rollback.domain.settings.database import DatabaseSettings, Strategy
from rollback.domain.settings.policy import Policy
from rollback.planning.database_rules import (
    PlanningInputs,
    check_named_release,
    choose_data_release,
    plan_database,
)
from rollback.resources.database.wal_position import Lsn

V1 = release("v1", hours_ago=48, schema_sha256="1" * 64)
V2 = release("v2", hours_ago=24, schema_sha256="2" * 64)
V3 = release("v3", hours_ago=1, schema_sha256="3" * 64, state=ReleaseState.CANDIDATE)
RELEASES = (V3, V2, V1)
MAIN = "br-main"
EARLIER = f"{SERVICE}-20260301T025000Z-00000001"
TAGS = ("0002", "0003")
BEFORE = OriginalBranch(id=MAIN, name="main", protected=False)


def settings(**changes: Any) -> DatabaseSettings:
    fields: dict[str, Any] = {
        "project_id": "quiet-sea-1",
        "branch_id": MAIN,
        "api_key_secret_arn": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:neon",
        "down_command": ("npm", "run", "down", "{tag}"),
        "source_branch_id": "br-staging",
    }
    return DatabaseSettings.model_validate({**fields, **changes})


def preview_settings() -> DatabaseSettings:
    return settings(branch_id=None, branch_pattern="preview/pr-{pr}")


def request(kind: RollbackType = RollbackType.FULL, **changes: Any) -> Request:
    return Request(service=SERVICE, type=kind, **changes)


def point(version: str = "v3", by: Any = "checkpoint", **changes: Any) -> RecordedPoint:
    """Build a point recorded 70 minutes ago: ten minutes before v3 was deployed."""
    at = NOW - timedelta(minutes=70 if by == "checkpoint" else 60)
    fields = {"branch": "b", "service": SERVICE, "version": version, "at": at, "lsn": Lsn(100), "recorded_at": at}
    return RecordedPoint.model_validate({**fields, "by": by, **changes})


def shipped_migrations(*, has_down: bool = True) -> tuple[ShippedMigration, ...]:
    return tuple(
        ShippedMigration(
            tag=tag,
            created_at=number,
            hash=f"{number:064x}",
            impact=ADDITIVE,
            has_down=has_down,
            down_impact=ADDITIVE if has_down else None,
        )
        for number, tag in enumerate(TAGS)
    )


def verdict(*since: str) -> SchemaVerdict:
    journal = JournalRelation.AHEAD
    return SchemaVerdict(compatibility=Compatibility.BREAKING, reason="it drops nick", journal=journal, since=since)


def plan_and_checks(
    rollback_request: Request | None = None, target: Any = V2, policy: Policy | None = None, **inputs: Any
) -> tuple[DatabasePlan | None, dict[str, Check]]:
    """Return the plan of the database while v3 runs, and its checks by name."""
    known_inputs = {"settings": settings(), "releases": RELEASES, **inputs}
    plan, checks = plan_database(
        rollback_request or request(),
        V3,
        target,
        PlanningInputs(policy=policy or Policy(), **known_inputs),
    )
    return plan, {check.name: check for check in checks}


def refusal(checks: dict[str, Check]) -> tuple[str, str]:
    """Return name and reason of the only check that failed."""
    (failed,) = (check for check in checks.values() if check.verdict is Verdict.FAIL)
    return failed.name, failed.reason


# The release whose data comes back


@pytest.mark.parametrize(
    ("rollback_request", "running", "expected_release"),
    [
        (request(RollbackType.DATABASE, target_version="v1"), V3, V1),
        (request(RollbackType.DATABASE), V3, V2),
        (request(RollbackType.DATABASE), V2, V2),
        (request(RollbackType.FULL), V3, V2),
        (request(RollbackType.FULL), V2, V1),
        (request(RollbackType.FULL, target_version="v1"), V3, V1),
    ],
)
def test_a_database_rollback_keeps_a_promoted_running_release_and_a_full_rollback_replaces_that_release(
    rollback_request: Request, running: Any, expected_release: Any
) -> None:
    assert choose_data_release(rollback_request, RELEASES, running).release == expected_release


@pytest.mark.parametrize(
    ("rollback_request", "match", "is_checked"),
    [
        (request(RollbackType.DATABASE, target_version="v9"), NameMatch(None, "unknown"), True),
        (request(RollbackType.DATABASE, target_version="v1"), NameMatch(V1), False),
        (request(RollbackType.DATABASE), NameMatch(None, "unknown"), False),
        (request(RollbackType.FULL, target_version="v9"), NameMatch(None, "unknown"), False),
    ],
)
def test_only_a_database_rollback_checks_the_name_of_a_release_that_is_not_found(
    rollback_request: Request, match: NameMatch, is_checked: bool
) -> None:
    checks = check_named_release(rollback_request, match, RELEASES)
    assert [(check.name, check.verdict) for check in checks] == ([("target-is-identified", Verdict.FAIL)] * is_checked)


# The database, its branch, the approval


def test_a_database_plan_of_an_environment_without_a_database_is_refused() -> None:
    plan, checks = plan_and_checks(settings=None)
    assert plan is None
    assert refusal(checks)[0] == "database-is-set"
    assert list(checks) == ["database-is-set"]


def test_the_checks_name_the_project_and_the_branch_of_the_pull_request() -> None:
    _, checks = plan_and_checks(request(pr=42), settings=preview_settings())
    assert checks["database-is-set"] == Check.passed("database-is-set", "project quiet-sea-1")
    assert checks["branch-is-named"] == Check.passed("branch-is-named", "branch preview/pr-42")


@pytest.mark.parametrize(
    ("rollback_request", "database", "reason"),
    [
        (request(), settings(), None),
        (request(pr=42), preview_settings(), None),
        (request(undo=EARLIER), preview_settings(), None),
        (request(), preview_settings(), "branches are named preview/pr-{pr}: name the pull request"),
        (request(pr=42), settings(), f"this environment has one branch, {MAIN}: leave pr out"),
    ],
)
def test_a_request_names_a_pull_request_exactly_if_the_environment_has_a_branch_for_each(
    rollback_request: Request, database: DatabaseSettings, reason: str | None
) -> None:
    _, checks = plan_and_checks(rollback_request, settings=database)
    check = checks["branch-is-named"]
    assert check.verdict is (Verdict.PASS if reason is None else Verdict.FAIL)
    assert check.reason.startswith(reason or "branch ")


# An undo


def earlier_rollback(kind: RollbackType = RollbackType.FULL, **changes: Any) -> Rollback:
    progress = RestoreProgress(started_at=NOW, point=RestorePoint(at=NOW), before=BEFORE, backup_id="br-backup")
    return rollback(**{"id": EARLIER, "request": request(kind), "database": progress, **changes})


def test_an_undo_resets_the_branch_to_the_backup_with_the_tables_of_the_previous_release() -> None:
    earlier_plan = Plan(running=V1, target=V2, checks=())
    plan, checks = plan_and_checks(request(undo=EARLIER), undone=earlier_rollback(plan=earlier_plan))
    assert plan == DatabasePlan(
        strategy=Strategy.RESET,
        branch=MAIN,
        source_branch_id="br-backup",
        schema_sha256=V1.schema_sha256,
        undone_rollback_id=EARLIER,
    )
    assert checks["undo-is-possible"] == Check.passed(
        "undo-is-possible", f"backup br-backup has the state before {EARLIER}"
    )


def test_an_undo_of_a_rollback_without_a_plan_expects_no_tables_and_goes_to_the_branch_of_its_pull_request() -> None:
    preview_rollback = earlier_rollback(request=request(RollbackType.DATABASE, pr=42))
    plan, _ = plan_and_checks(
        request(RollbackType.DATABASE, undo=EARLIER), undone=preview_rollback, settings=preview_settings()
    )
    assert plan is not None
    assert (plan.branch, plan.schema_sha256) == ("preview/pr-42", None)


UNCHANGED = RestoreProgress(started_at=NOW, point=RestorePoint(at=NOW), before=BEFORE)
UNANSWERED = UNCHANGED.evolve(data_change_announced_at=NOW)
DELETED = DeletionProgress(started_at=NOW, before=BEFORE, data_change_announced_at=NOW)
DELETION = Plan(
    running=V2, target=V1, checks=(), database=DatabasePlan(strategy=Strategy.DELETE, branch="preview/pr-42")
)


@pytest.mark.parametrize(
    ("earlier", "reason"),
    [
        (None, f"the ledger has no rollback {EARLIER}"),
        (earlier_rollback(database=None), f"{EARLIER} did not change the database: there is nothing to undo"),
        (earlier_rollback(database=UNCHANGED), f"{EARLIER} did not change the database: there is nothing to undo"),
        (
            earlier_rollback(database=UNANSWERED),
            f"whether {EARLIER} changed the database is not known: look in Neon's console for a branch "
            f"rollback-backup-{EARLIER}, which has the state before the rollback",
        ),
        (
            earlier_rollback(database=UNANSWERED, plan=Plan(running=V2, target=V1, checks=())),
            f"whether {EARLIER} changed the database is not known: look in Neon's console for a branch "
            f"rollback-backup-{EARLIER}, which has the state before the rollback",
        ),
        (
            earlier_rollback(database=DELETED, plan=DELETION),
            f"{EARLIER} deleted branch preview/pr-42: Neon's console can recover it for seven days",
        ),
        (
            earlier_rollback(RollbackType.DATABASE),
            f'{EARLIER} was a database rollback: undo that rollback with "type": "database"',
        ),
    ],
)
def test_an_undo_needs_a_backup_and_the_type_of_the_rollback_that_it_undoes(
    earlier: Rollback | None, reason: str
) -> None:
    plan, checks = plan_and_checks(request(undo=EARLIER), undone=earlier)
    assert plan is None
    assert refusal(checks) == ("undo-is-possible", reason)


# A restore


def test_a_restore_goes_to_the_pipeline_s_point_before_the_next_release() -> None:
    plan, checks = plan_and_checks(points=(point(),))
    assert plan == DatabasePlan(
        strategy=Strategy.RESTORE, branch=MAIN, point=point().point, schema_sha256=V2.schema_sha256
    )
    check = checks["restore-point-is-known"]
    assert check.reason == f"before v3, by the pipeline: {point().at}"
    assert check.evidence == {"lsn": str(Lsn(100)), "at": point().at.isoformat(), "before": "v3"}
    assert "restore-point-is-early" not in checks


def test_a_restore_to_the_start_of_a_deployment_warns_that_migrations_may_have_run_before() -> None:
    plan, checks = plan_and_checks(points=(point(by="deployment"),))
    assert plan is not None
    assert checks["restore-point-is-known"].reason.startswith("before v3, by the deployment: ")
    assert checks["restore-point-is-early"].verdict is Verdict.WARN
    assert checks["restore-point-is-early"].reason.startswith("the pipeline made no checkpoint before v3")


def test_a_database_rollback_expects_the_tables_of_the_running_release() -> None:
    plan, _ = plan_and_checks(request(RollbackType.DATABASE), points=(point(),))
    assert plan is not None
    assert plan.schema_sha256 == V3.schema_sha256


def test_a_point_that_fits_the_target_is_preferred_to_the_point_before_the_next_release() -> None:
    later_release = release("v4", hours_ago=0.5)
    fitting_point = point("v4", recorded_at=NOW - timedelta(minutes=40), at=NOW - timedelta(minutes=40))
    plan, _ = plan_and_checks(
        releases=(later_release, *RELEASES),
        points=(point(), fitting_point),
        fits=lambda candidate: candidate.version == "v4",
    )
    assert plan is not None
    assert plan.point == fitting_point.point


RESTORE_SINCE = BranchHistory(restores=(OwnRestore(EARLIER, NOW - timedelta(minutes=30), "backup"),))


@pytest.mark.parametrize(
    ("target", "inputs", "reason"),
    [
        (None, {}, "there is no promoted release whose data could be restored; known: v1, v2, v3"),
        (None, {"releases": ()}, "there is no promoted release whose data could be restored; known: none"),
        (V3, {}, "no release was deployed after v3: name the version whose data is to be restored"),
        (V2, {}, "no restore point was recorded before v3; let the pipeline run the command checkpoint"),
    ],
)
def test_a_restore_needs_a_target_a_later_release_and_a_restore_point(
    target: Any, inputs: dict[str, Any], reason: str
) -> None:
    plan, checks = plan_and_checks(target=target, **inputs)
    assert plan is None
    name, check_reason = refusal(checks)
    assert name == "restore-point-is-known"
    assert check_reason.startswith(reason)


def test_a_point_before_our_own_restore_is_refused_with_the_backup_that_keeps_its_history() -> None:
    plan, checks = plan_and_checks(points=(point(),), history=RESTORE_SINCE)
    assert plan is None
    _, reason = refusal(checks)
    assert reason.startswith(f"the restore point before v3, {point().at}, is before {EARLIER} restored the branch")


@pytest.mark.parametrize("strategy", [Strategy.RESTORE, Strategy.AUTO])
def test_a_restore_to_a_named_time_needs_no_recorded_point(strategy: Strategy) -> None:
    at = NOW - timedelta(minutes=20)
    rollback_request = request(to=at, strategy=strategy)
    plan, checks = plan_and_checks(rollback_request, target=None, history=RESTORE_SINCE)
    assert plan == DatabasePlan(strategy=Strategy.RESTORE, branch=MAIN, point=RestorePoint(at=at))
    assert checks["restore-point-is-known"] == Check.passed(
        "restore-point-is-known", f"the request names the time {at}"
    )


def test_a_restore_to_a_named_time_expects_the_tables_of_the_target() -> None:
    plan, _ = plan_and_checks(request(to=NOW))
    assert plan is not None
    assert plan.schema_sha256 == V2.schema_sha256


def test_a_restore_to_a_time_before_our_own_restore_is_refused() -> None:
    at = NOW - timedelta(minutes=40)
    plan, checks = plan_and_checks(request(to=at), history=RESTORE_SINCE)
    assert plan is None
    assert refusal(checks)[1].startswith(f"{at} is before {EARLIER} restored the branch")


@pytest.mark.parametrize("strategy", [Strategy.RESET, Strategy.RECREATE, Strategy.DELETE, Strategy.DOWN_MIGRATIONS])
def test_a_strategy_without_a_restore_point_refuses_a_request_with_a_time(strategy: Strategy) -> None:
    plan, checks = plan_and_checks(request(to=NOW, strategy=strategy))
    assert plan is None
    assert refusal(checks)[0] == "time-fits-strategy"


# Other strategies


def test_down_migrations_run_newest_first() -> None:
    plan, checks = plan_and_checks(
        request(strategy=Strategy.DOWN_MIGRATIONS), verdict=verdict(*TAGS), shipped=shipped_migrations()
    )
    assert plan == DatabasePlan(
        strategy=Strategy.DOWN_MIGRATIONS,
        branch=MAIN,
        migrations=("0003", "0002"),
        schema_sha256=V2.schema_sha256,
    )
    assert checks["down-migrations-exist"] == Check.passed(
        "down-migrations-exist", "the running release's own files: 0003, 0002"
    )


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        ({}, "the migrations that were applied since the target are not known"),
        (
            {"verdict": verdict(*TAGS), "shipped": shipped_migrations(has_down=False)},
            "the running release ships no down file for 0002, 0003",
        ),
        ({"verdict": verdict()}, "only the target's own migrations are applied: there is no migration to revert"),
    ],
)
def test_down_migrations_are_refused_without_known_files(inputs: dict[str, Any], reason: str) -> None:
    plan, checks = plan_and_checks(request(strategy=Strategy.DOWN_MIGRATIONS), **inputs)
    assert plan is None
    assert refusal(checks) == ("down-migrations-exist", reason)


@pytest.mark.parametrize(
    ("inputs", "strategy", "reason"),
    [
        (
            {},
            Strategy.RESTORE,
            "a restore, since the migrations that were applied since the target are not known",
        ),
        (
            {"verdict": verdict(*TAGS), "shipped": shipped_migrations()},
            Strategy.DOWN_MIGRATIONS,
            "the running release ships down files that lose nothing: 0003, 0002",
        ),
        (
            {"verdict": verdict(*TAGS), "shipped": shipped_migrations(has_down=False)},
            Strategy.RESTORE,
            "a restore, since the running release ships no down file for 0002, 0003",
        ),
    ],
)
def test_auto_runs_down_migrations_that_lose_no_data_and_else_restores(
    inputs: dict[str, Any], strategy: Strategy, reason: str
) -> None:
    plan, checks = plan_and_checks(settings=settings(strategy=Strategy.AUTO), points=(point(),), **inputs)
    assert plan is not None
    assert (plan.strategy, plan.branch, plan.schema_sha256) == (strategy, MAIN, V2.schema_sha256)
    assert checks["strategy-is-allowed"] == Check.passed("strategy-is-allowed", reason)
    assert ("down-migrations-exist" in checks, "restore-point-is-known" in checks) == (
        strategy is Strategy.DOWN_MIGRATIONS,
        strategy is Strategy.RESTORE,
    )


def test_auto_restores_if_there_is_no_migration_to_revert() -> None:
    plan, _ = plan_and_checks(settings=settings(strategy=Strategy.AUTO), points=(point(),), verdict=verdict())
    assert plan is not None
    assert plan.strategy is Strategy.RESTORE


@pytest.mark.parametrize("strategy", [Strategy.RESET, Strategy.RECREATE])
def test_a_reset_and_a_recreation_need_a_source_branch(strategy: Strategy) -> None:
    plan, checks = plan_and_checks(request(strategy=strategy))
    assert plan == DatabasePlan(
        strategy=strategy, branch=MAIN, source_branch_id="br-staging", schema_sha256=V2.schema_sha256
    )
    assert checks["source-is-set"] == Check.passed("source-is-set", "from br-staging")
    plan, checks = plan_and_checks(request(strategy=strategy), settings=settings(source_branch_id=None))
    assert plan is None
    assert refusal(checks) == (
        "source-is-set",
        f"{strategy} needs a source branch: set source_branch_id in the settings",
    )


@pytest.mark.parametrize(
    ("kind", "pr", "is_allowed"),
    [(RollbackType.DATABASE, 42, True), (RollbackType.FULL, 42, False), (RollbackType.DATABASE, None, False)],
)
def test_only_a_database_rollback_of_a_pull_request_deletes_its_branch(
    kind: RollbackType, pr: int | None, is_allowed: bool
) -> None:
    plan, checks = plan_and_checks(request(kind, pr=pr, strategy=Strategy.DELETE), settings=preview_settings())
    expected = DatabasePlan(strategy=Strategy.DELETE, branch="preview/pr-42")
    assert plan == (expected if is_allowed else None)
    assert checks["branch-may-be-deleted"].verdict is (Verdict.PASS if is_allowed else Verdict.FAIL)
