"""Database: bring the branch where the plan says, behind the fence. What that took out of it is told later (`account`).

It holds the lease on the branch beside those on the services that write to it. What may be on the branch when this step
fails is part of the outcome: untouched (refused), or overwritten with its old state in a backup (failed).
"""

from contextlib import suppress
from datetime import timedelta

from rollback.check import Check, Verdict
from rollback.database.changes.fence import renew_leases_of_stopped_services
from rollback.database.live_schema_check import (
    is_compatible,
    is_live_check_needed,
    judge_live_schema,
    refuse_unconfirmed,
    revert_to_service_only,
    why_down_migrations_differ,
)
from rollback.database.delete.reconciler import delete
from rollback.database.down_migrations.reconciler import run_down_migrations
from rollback.database.observation.observe import observe_after_change
from rollback.database.preflight.context import PreviewJudge, RestoreContext
from rollback.database.preflight.rules import list_branch_names
from rollback.database.recreate.reconciler import recreate
from rollback.database.restore.reconciler import restore
from rollback.database.restore.reset import reset
from rollback.database.writers_check import writers_fit
from rollback.domain.database.plan import DatabasePlan
from rollback.domain.database.progress import DatabaseOutcome, DatabaseProgress, OriginalBranch
from rollback.domain.database.release_schema import ShippedMigration
from rollback.domain.database.schema_finding import Compatibility
from rollback.domain.database.schema_verdict import SchemaVerdict
from rollback.domain.database.target import RestoreTarget
from rollback.domain.rollback import Outcome, Rollback
from rollback.domain.settings.database import DatabaseSettings, Strategy, branch_key
from rollback.errors import CallRefused, InvalidRequest, LeaseLost
from rollback.intents.waiting import seconds_to_wait
from rollback.ports.world import World
from rollback.resources.database.errors import RetryLater
from rollback.resources.database.postgres import LiveSchema, Migration
from rollback.schema.compatibility import judge_schema
from rollback.schema.refusal import evidence_of
from rollback.schema.verdict import shipped_migrations_since, stored_schema
from rollback.service.newer_deployment import end_as_superseded, yield_before_data_changes


def database(rollback: Rollback, world: World) -> Rollback:
    """One look, at most one change.

    Raises:
        LeaseLost: somebody else holds a lease of ours: whoever it is knows more than we do (rule 3).
        ExternalServiceError: Neon or AWS could not be asked; nothing is lost, call again.
    """
    assert rollback.plan is not None  # noqa: S101 - the route comes here only with a plan that has a database
    assert rollback.plan.database is not None  # noqa: S101
    plan, settings = rollback.plan.database, _settings(world)
    held_by = _hold_branch(rollback, plan, settings, world)
    if held_by is not None and held_by == rollback.supersedes and not _waited_long_enough(rollback, settings, world):
        since = rollback.database_waits_since or world.clock.now()
        return rollback.evolve(database_waits_since=since, wait_seconds=world.settings.policy.poll_seconds)
    if held_by is not None:
        why = f"{held_by} is changing branch {plan.branch}: wait for it, and start again"
        return _refuse(rollback, plan.branch, why, world, has_collided=True)
    progress = rollback.database
    if progress is not None and (progress.why_not is not None or progress.ended_at is not None):
        with suppress(LeaseLost):  # to tidy up and to report needs no other service's lease, but those stand at zero
            renew_leases_of_stopped_services(rollback, world)
    if plan.strategy is not Strategy.DELETE:  # of a pull request that is closed
        rollback, is_over = yield_before_data_changes(rollback, world)
        if is_over:
            return rollback
    try:
        return _run_round(rollback, plan, settings, world)
    except RetryLater as later:
        if rollback.database is not None:
            raise
        return _retry_later(rollback, plan, later, settings, world)
    except CallRefused as refused:
        if rollback.database is not None:
            raise
        return _refuse(rollback, plan.branch, f"database-access: {refused}", world)


def _run_round(rollback: Rollback, plan: DatabasePlan, settings: DatabaseSettings, world: World) -> Rollback:
    try:
        branch_id = _branch_id(rollback, plan, settings, world)
    except CallRefused as refused:
        return _refuse(rollback, plan.branch, f"database-access: {refused}", world)
    if branch_id is None and plan.strategy is not Strategy.DELETE:  # gone already is what a deletion wants
        known = list_branch_names(tuple(world.databases.branches()))
        why = (
            f"project {settings.project_id} has no branch {plan.branch}: look at the pull request's number, and at "
            f"branch_pattern in the settings; its branches: {known}"
        )
        return _refuse(rollback, plan.branch, why, world)
    restoring = RestoreContext(
        target=RestoreTarget.of(world.settings, branch_id or plan.branch),
        databases=world.databases,
        sql=world.sql,
        judge_preview=_make_preview_judge(rollback, plan, world),
    )
    if is_live_check_needed(rollback):
        verdict = judge_live_schema(rollback, restoring, world)
        if is_compatible(verdict):
            world.ledger.release_lease(branch_key(settings.project_id, plan.branch), rollback.id)
            return revert_to_service_only(rollback, verdict)
        if not verdict.is_attributed:
            return _refuse(*_refusal_of_unconfirmed(rollback, plan, verdict, world), world)
        another_way = why_down_migrations_differ(plan, verdict)
        if another_way is not None:
            return _refuse(rollback, plan.branch, another_way, world, has_collided=True)
    after = _apply_outcome(_run_strategy(rollback, plan, restoring, world), world)
    done = after.database
    if done is not None and done.is_over and done.database_outcome is not DatabaseOutcome.REFUSED:
        settled = done.database_outcome is DatabaseOutcome.RESTORED
        observe_after_change(restoring, done.branch_id or restoring.target.branch_id, world, settled=settled)
    return after


def _refusal_of_unconfirmed(
    rollback: Rollback, plan: DatabasePlan, verdict: SchemaVerdict, world: World
) -> tuple[Rollback, str, str]:
    refused, why = refuse_unconfirmed(rollback, verdict, world)
    return refused, plan.branch, why


def _waited_long_enough(rollback: Rollback, settings: DatabaseSettings, world: World) -> bool:
    """Whether the rollback that was taken over has had its time to conclude, and to give the branch back."""
    since = rollback.database_waits_since
    return since is not None and world.clock.now() - since > timedelta(minutes=settings.restore_timeout_minutes)


def _retry_later(
    rollback: Rollback, plan: DatabasePlan, later: RetryLater, settings: DatabaseSettings, world: World
) -> Rollback:
    """Nothing has begun: Neon is asked again for as long as a restore may take."""
    now, limit = world.clock.now(), settings.restore_timeout_minutes
    since = rollback.database_waits_since or now
    if now - since > timedelta(minutes=limit):
        why = f"Neon could not be asked in {limit:g} minutes: {later}"
        return _refuse(rollback, plan.branch, why, world, has_collided=True)
    return rollback.evolve(database_waits_since=since, wait_seconds=seconds_to_wait(later, world))


def _run_strategy(rollback: Rollback, plan: DatabasePlan, restoring: RestoreContext, world: World) -> Rollback:
    match plan.strategy:
        case Strategy.RESTORE if plan.point is not None:
            return restore(rollback, plan.point, restoring, world)
        case Strategy.RESET if plan.source_branch_id is not None:
            return reset(rollback, plan.source_branch_id, restoring, world, undone_rollback_id=plan.undone_rollback_id)
        case Strategy.RECREATE:
            return recreate(rollback, plan, restoring, world)
        case Strategy.DELETE:
            return delete(rollback, plan, restoring, world)
        case Strategy.DOWN_MIGRATIONS:
            return run_down_migrations(rollback, plan, restoring, world)
        case _:
            raise InvalidRequest(f"a plan with strategy {plan.strategy} can't be carried out: {plan}")


def _apply_outcome(rollback: Rollback, world: World) -> Rollback:
    """An ending other than the wanted one is the rollback's; and a deletion's, after which there is nothing to run."""
    progress = rollback.database
    if progress is None or progress.database_outcome is None:
        return rollback
    if progress.database_outcome is DatabaseOutcome.RESTORED:
        plan = rollback.plan
        if plan is None or plan.database is None or plan.database.strategy is not Strategy.DELETE:
            return rollback
        return rollback.evolve(outcome=Outcome.SUCCEEDED, reason=plan.way, wait_seconds=0)
    if progress.database_outcome is DatabaseOutcome.REFUSED and rollback.newer is not None:
        return end_as_superseded(rollback, rollback.newer)
    if progress.database_outcome is DatabaseOutcome.REFUSED and progress.has_collided and rollback.event is not None:
        again = world.clock.now() + timedelta(minutes=world.settings.policy.recheck_minutes)
        reason = f"database: {progress.why_not}"
        return rollback.evolve(outcome=Outcome.SUPPRESSED, reason=reason, recheck_at=again, wait_seconds=0)
    outcome = Outcome.REFUSED if progress.database_outcome is DatabaseOutcome.REFUSED else Outcome.FAILED
    return rollback.evolve(outcome=outcome, reason=f"database: {progress.why_not}", wait_seconds=0)


def _refuse(rollback: Rollback, branch: str, why: str, world: World, *, has_collided: bool = False) -> Rollback:
    now = world.clock.now()
    before = OriginalBranch(name=branch, protected=False)
    progress = DatabaseProgress(started_at=now, before=before, has_collided=has_collided)
    progress = progress.mark_failed(f"{why}; nothing was changed", now).ended(DatabaseOutcome.REFUSED, now)
    return _apply_outcome(rollback.evolve(database=progress), world)


def _hold_branch(rollback: Rollback, plan: DatabasePlan, settings: DatabaseSettings, world: World) -> str | None:
    """Who holds the lease on the branch, if it is not to be had before anything was changed.

    Raises:
        LeaseLost: it was ours, and services stand at zero for it.
    """
    now = world.clock.now()
    until = now + timedelta(minutes=world.settings.policy.lease_minutes)
    key = branch_key(settings.project_id, plan.branch)
    lease = world.ledger.acquire(key, rollback.id, now, until)
    if lease is not None:
        world.ledger.renew(lease, now, until)
        return None
    held = world.ledger.lease(key)
    holder = held.holder if held is not None else "another rollback"
    if rollback.database is not None:
        raise LeaseLost(f"{holder} holds the lease on {key}")
    return holder


def _branch_id(rollback: Rollback, plan: DatabasePlan, settings: DatabaseSettings, world: World) -> str | None:
    """Neon's id; of a pull request's branch looked up once, since its name may go to another branch meanwhile."""
    if settings.branch_id is not None:
        return settings.branch_id
    if rollback.database is not None and rollback.database.before.id is not None:
        return rollback.database.before.id
    found = world.databases.branch_named(plan.branch)
    return found.id if found is not None else None


def _make_preview_judge(rollback: Rollback, plan: DatabasePlan, world: World) -> PreviewJudge:
    """Whether what is to run afterwards can work with the tables that are there then. Nothing is changed before.

    Not knowing refuses as breaking does, unless a person forces it. Only breaking refuses where nothing is recorded
    ahead of need (a pull request's branch), and where a person asked for another branch's state as it is (a reset, an
    undo): what that is was known when it was asked for, and a backup keeps what it replaces.
    """
    is_recorded = _settings(world).branch_id is not None
    is_asked_for = (
        plan.strategy is not Strategy.RESTORE and rollback.escalated_from_type is None and rollback.event is None
    )
    refuses = (Compatibility.BREAKING, *((Compatibility.UNKNOWN,) if is_recorded and not is_asked_for else ()))

    def judged(schema: LiveSchema, migrations: tuple[Migration, ...] | None) -> tuple[Check, ...]:
        expected = stored_schema(plan.schema_sha256, world) if plan.schema_sha256 is not None else None
        verdict = judge_schema(expected, schema, migrations, _shipped_migrations(rollback, world))
        is_refused = verdict.compatibility in refuses and not rollback.request.force
        fits = verdict.compatibility is Compatibility.COMPATIBLE
        graded = Verdict.FAIL if is_refused else (Verdict.PASS if fits else Verdict.WARN)
        name, evidence = "target-fits-restored-schema", evidence_of(verdict)
        reason = verdict.bounded.reason
        own = Check(name=name, verdict=graded, reason=reason, evidence=evidence, forceable=is_refused)
        return (own, *writers_fit(rollback, schema, migrations, world))

    return judged


def _shipped_migrations(rollback: Rollback, world: World) -> tuple[ShippedMigration, ...]:
    """Migrations that may have been applied at the restore point: without their class they would be unknown."""
    settings, plan = _settings(world), rollback.plan
    if plan is None or plan.target is None or settings.branch_id is None:
        return ()
    return shipped_migrations_since(plan.target, settings.lease_of(None), world)


def _settings(world: World) -> DatabaseSettings:
    if world.settings.database is None:
        raise InvalidRequest(f"no database is set for {world.settings.environment} any more; nothing was changed")
    return world.settings.database
