"""Rules of the database's part of a plan, from the ledger alone; the database step asks Neon before the fence."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from rollback.check import Check
from rollback.database.preflight.timeline import BranchHistory
from rollback.domain.database.plan import DatabasePlan
from rollback.domain.database.progress import RestorePoint, backup_name
from rollback.domain.database.release_schema import ShippedMigration
from rollback.domain.database.restore_points import RecordedPoint, choose_restore_point
from rollback.domain.database.schema_verdict import SchemaVerdict
from rollback.domain.database.strategy_choice import choose_strategy, find_down_migrations
from rollback.domain.plan import check_target_exists, choose_target
from rollback.domain.releases.release import Release, ReleaseState
from rollback.domain.releases.release_names import NameMatch, find_last_known_good
from rollback.domain.request import Request, RollbackType
from rollback.domain.rollback import Rollback
from rollback.domain.settings.database import DatabaseSettings, Strategy
from rollback.domain.settings.policy import Policy

_TYPES_KEEPING_SERVICE = (RollbackType.DATABASE,)


@dataclass(frozen=True)
class PlanningInputs:
    """The ledger's data about the database and its releases.

    Attributes:
        settings: settings of the database; None: the environment has none.
        policy: the environment's policy.
        releases: releases from the target on, newest first.
        points: recorded restore points about the target.
        undone: the rollback that an undo names.
        fits: whether the release after the rollback is known to work with the tables at a point.
        verdict: verdict on the target and the live schema; None: not made, or not known.
        shipped: migrations of the running release, which alone has their down migrations.
        history: the branch's present history; points outside it are no candidates.
    """

    settings: DatabaseSettings | None
    policy: Policy
    releases: tuple[Release, ...] = ()
    points: tuple[RecordedPoint, ...] = ()
    undone: Rollback | None = None
    fits: Callable[[RecordedPoint], bool] = lambda _: False
    verdict: SchemaVerdict | None = None
    shipped: tuple[ShippedMigration, ...] = ()
    history: BranchHistory = field(default_factory=BranchHistory)


def choose_data_release(request: Request, releases: tuple[Release, ...], running: Release) -> NameMatch:
    """Choose the release whose data the database goes back to: the named one, or the target of a full rollback.

    A database rollback without a name goes back to the running release's own state if that release is promoted, else to
    the last known good's.
    """
    if request.target_version is not None or request.type is RollbackType.FULL:
        return choose_target(request, releases, running)
    if running.state is ReleaseState.PROMOTED:
        return NameMatch(running)
    return find_last_known_good(releases, running.fingerprint)


def check_named_release(request: Request, match: NameMatch, releases: tuple[Release, ...]) -> tuple[Check, ...]:
    """Check the name in a database rollback's request; a full rollback checks it with the target anyway."""
    if request.target_version is None or request.type is not RollbackType.DATABASE or match.release is not None:
        return ()
    return (check_target_exists(match, releases),)


def plan_database(
    request: Request, running: Release, target: Release | None, inputs: PlanningInputs
) -> tuple[DatabasePlan | None, tuple[Check, ...]]:
    """Make the database's part of a plan, and its checks; without a part one of the checks fails.

    Args:
        request: the request.
        running: the running release.
        target: the release whose data the database goes back to (`choose_data_release`).
        inputs: the ledger's data.
    """
    settings = inputs.settings
    if settings is None:
        reason = "no database is set for this environment: add `database` to its settings"
        return None, (Check.failed("database-is-set", reason),)
    checks = [
        Check.passed("database-is-set", f"project {settings.project_id}"),
        _check_branch_named(request, settings),
    ]
    if request.undo is not None:
        database_plan, strategy_checks = _plan_undo(request, inputs, settings)
    else:
        database_plan, strategy_checks = _plan_by_strategy(request, running, target, inputs, settings)
    return database_plan, (*checks, *strategy_checks)


def _check_branch_named(request: Request, settings: DatabaseSettings) -> Check:
    name, objection = "branch-is-named", None
    if settings.branch_pattern is not None and request.pr is None and request.undo is None:
        objection = (
            f"branches are named {settings.branch_pattern}: name the pull request, such as "
            f'{{"type": "database", "pr": 42}}'
        )
    if settings.branch_id is not None and request.pr is not None:
        objection = f"this environment has one branch, {settings.branch_id}: leave pr out"
    return Check.failed_if(objection, name, f"branch {settings.branch_of(request.pr)}")


def _plan_undo(
    request: Request, inputs: PlanningInputs, settings: DatabaseSettings
) -> tuple[DatabasePlan | None, tuple[Check, ...]]:
    name, undone_rollback = "undo-is-possible", inputs.undone
    if undone_rollback is None:
        return None, (Check.failed(name, f"the ledger has no rollback {request.undo}"),)
    if undone_rollback.database is None or undone_rollback.database.backup_id is None:
        return None, (Check.failed(name, _explain_nothing_to_undo(undone_rollback)),)
    if undone_rollback.request.type is not request.type:
        kind = undone_rollback.request.type
        objection = f'{undone_rollback.id} was a {kind} rollback: undo that rollback with "type": "{kind}"'
        return None, (Check.failed(name, objection),)
    former_schema = undone_rollback.plan.running.schema_sha256 if undone_rollback.plan is not None else None
    database_plan = DatabasePlan(
        strategy=Strategy.RESET,
        branch=settings.branch_of(undone_rollback.request.pr),
        source_branch_id=undone_rollback.database.backup_id,
        schema_sha256=former_schema,
        undone_rollback_id=undone_rollback.id,
    )
    return database_plan, (
        Check.passed(name, f"backup {undone_rollback.database.backup_id} has the state before {undone_rollback.id}"),
    )


def _explain_nothing_to_undo(undone_rollback: Rollback) -> str:
    progress, database_plan = (
        undone_rollback.database,
        undone_rollback.plan.database if undone_rollback.plan is not None else None,
    )
    if progress is None or not progress.may_have_changed_data:
        return f"{undone_rollback.id} did not change the database: there is nothing to undo"
    if database_plan is not None and database_plan.strategy is Strategy.DELETE:
        return (
            f"{undone_rollback.id} deleted branch {database_plan.branch}: Neon's console can recover it for seven days"
        )
    return (
        f"whether {undone_rollback.id} changed the database is not known: look in Neon's console for a branch "
        f"{backup_name(undone_rollback.id)}, which has the state before the rollback"
    )


def _plan_by_strategy(
    request: Request, running: Release, target: Release | None, inputs: PlanningInputs, settings: DatabaseSettings
) -> tuple[DatabasePlan | None, tuple[Check, ...]]:
    strategy = request.strategy or settings.strategy
    branch = settings.branch_of(request.pr)
    final_release = running if request.type in _TYPES_KEEPING_SERVICE else target
    schema = final_release.schema_sha256 if final_release is not None else None
    if request.to is not None and strategy not in (Strategy.RESTORE, Strategy.AUTO):
        objection = (
            f"the strategy here is {strategy}, which can't restore to a time: leave `to` out, or add --strategy restore"
        )
        return None, (Check.failed("time-fits-strategy", objection),)
    match strategy:
        case Strategy.DOWN_MIGRATIONS:
            return _plan_down_migrations(branch, schema, inputs, settings)
        case Strategy.AUTO if request.to is None:
            return _plan_auto(branch, schema, target, inputs, settings)
        case Strategy.RESTORE | Strategy.AUTO:
            if request.to is not None:
                return _plan_restore_to_time(branch, schema, request.to, inputs)
            return _plan_restore(branch, schema, target, inputs)
        case Strategy.RESET | Strategy.RECREATE:
            source = settings.source_branch_id
            problem = (
                f"{strategy} needs a source branch: set source_branch_id in the settings" if source is None else None
            )
            check = Check.failed_if(problem, "source-is-set", f"from {source}")
            database_plan = DatabasePlan(
                strategy=strategy, branch=branch, source_branch_id=source, schema_sha256=schema
            )
            return (database_plan if source is not None else None), (check,)
        case Strategy.DELETE:
            by_request = request.pr is not None and request.type is RollbackType.DATABASE
            problem = (
                None
                if by_request
                else 'only the branch of a pull request can be deleted: give "type": "database" and "pr"'
            )
            database_plan = DatabasePlan(strategy=strategy, branch=branch)
            return (database_plan if by_request else None), (
                Check.failed_if(problem, "branch-may-be-deleted", f"branch {branch}"),
            )


def _plan_restore(
    branch: str, schema: str | None, target: Release | None, inputs: PlanningInputs
) -> tuple[DatabasePlan | None, tuple[Check, ...]]:
    name = "restore-point-is-known"
    if target is None:
        versions = ", ".join(sorted({r.version for r in inputs.releases})) or "none"
        return None, (
            Check.failed(name, f"there is no promoted release whose data could be restored; known: {versions}"),
        )
    usable_points = (point for point in inputs.points if inputs.history.has(point))
    point, next_release = choose_restore_point(target, inputs.releases, usable_points, inputs.fits)
    if next_release is None:
        objection = f"no release was deployed after {target.version}: name the version whose data is to be restored"
        return None, (Check.failed(name, objection),)
    unusable_point, _ = (
        choose_restore_point(target, inputs.releases, inputs.points, inputs.fits) if point is None else (None, None)
    )
    if unusable_point is not None:
        return None, (
            inputs.history.failed_check(
                unusable_point.at, f"the restore point before {unusable_point.version}, {unusable_point.at},"
            ),
        )
    if point is None:
        objection = (
            f"no restore point was recorded before {next_release.version}; let the pipeline run the command "
            "checkpoint before migrations. Neon's console can restore the branch to a time"
        )
        return None, (Check.failed(name, objection),)
    reason = (
        f"before {next_release.version}, by the {'pipeline' if point.by == 'checkpoint' else 'deployment'}: {point.at}"
    )
    evidence = {"lsn": str(point.lsn), "at": point.at.isoformat(), "before": next_release.version}
    check = Check.passed(name, reason, evidence=evidence)
    warnings = () if point.by == "checkpoint" else tuple(_warn_late_restore_point(next_release))
    database_plan = DatabasePlan(strategy=Strategy.RESTORE, branch=branch, point=point.point, schema_sha256=schema)
    return database_plan, (check, *warnings)


def _plan_down_migrations(
    branch: str, schema: str | None, inputs: PlanningInputs, settings: DatabaseSettings
) -> tuple[DatabasePlan | None, tuple[Check, ...]]:
    """Plan down migrations, requested by name whatever they lose; a backup is taken first."""
    name, verdict = "down-migrations-exist", inputs.verdict
    if verdict is None:
        return None, (Check.failed(name, "the migrations that were applied since the target are not known"),)
    tags = find_down_migrations(verdict, inputs.shipped, settings)
    if isinstance(tags, str):
        return None, (Check.failed(name, tags),)
    if not tags:
        return None, (
            Check.failed(name, "only the target's own migrations are applied: there is no migration to revert"),
        )
    database_plan = DatabasePlan(
        strategy=Strategy.DOWN_MIGRATIONS, branch=branch, migrations=tags, schema_sha256=schema
    )
    return database_plan, (Check.passed(name, f"the running release's own files: {', '.join(tags)}"),)


def _plan_auto(
    branch: str, schema: str | None, target: Release | None, inputs: PlanningInputs, settings: DatabaseSettings
) -> tuple[DatabasePlan | None, tuple[Check, ...]]:
    """Plan the strategy `auto`: down migrations where they lose nothing, else a restore."""
    name = "strategy-is-allowed"
    if inputs.verdict is None:
        check = Check.passed(name, "a restore, since the migrations that were applied since the target are not known")
    else:
        choice = choose_strategy(inputs.verdict, inputs.shipped, settings)
        check = Check.passed(name, choice.reason)
        if choice.strategy is Strategy.DOWN_MIGRATIONS and choice.migrations:
            database_plan, more_checks = _plan_down_migrations(branch, schema, inputs, settings)
            return database_plan, (check, *more_checks)
    database_plan, more_checks = _plan_restore(branch, schema, target, inputs)
    return database_plan, (check, *more_checks)


def _plan_restore_to_time(
    branch: str, schema: str | None, at: datetime, inputs: PlanningInputs
) -> tuple[DatabasePlan | None, tuple[Check, ...]]:
    if inputs.history.first_restore_after(at) is not None:
        return None, (inputs.history.failed_check(at, f"{at}"),)
    check = Check.passed("restore-point-is-known", f"the request names the time {at}")
    return DatabasePlan(strategy=Strategy.RESTORE, branch=branch, point=RestorePoint(at=at), schema_sha256=schema), (
        check,
    )


def _warn_late_restore_point(next_release: Release) -> Iterator[Check]:
    """Warn that a restore point of a deployment's start is later than the migrations before that deployment."""
    reason = (
        f"the pipeline made no checkpoint before {next_release.version}. If its migrations ran before its deployment "
        "began, the restore point includes them; the preview branch shows that before anything is changed"
    )
    yield Check.warned("restore-point-is-early", reason)
