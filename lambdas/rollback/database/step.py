"""Database: bring the branch to the state that the plan names, behind the fence.

The step holds the lease on the branch, beside the leases on the services that write to the branch. The outcome says
in which state the branch is: untouched (refused), or overwritten with its old state in a backup (failed). Data loss is
reported after the conclusion (`data_loss`).
"""

from contextlib import suppress
from datetime import timedelta

from rollback.database.changes.begin import refused_progress
from rollback.database.changes.ports import WaitPorts
from rollback.database.delete.reconciler import delete
from rollback.database.down_migrations.reconciler import run_down_migrations
from rollback.database.live_schema_check import (
    is_compatible,
    is_live_check_needed,
    judge_live_schema,
    refuse_unconfirmed,
    revert_to_service_only,
    why_down_migrations_differ,
)
from rollback.database.observation.observe import observe_after_change
from rollback.database.ports import DatabasePorts, LiveSchemaPorts, StrategyPorts
from rollback.database.preflight.branch_context import BranchContext
from rollback.database.preflight.branch_rules import list_branch_names
from rollback.database.recreate.reconciler import recreate
from rollback.database.restore.reconciler import restore
from rollback.database.restore.reset import reset
from rollback.database.restored_schema_check import make_table_check
from rollback.domain.database.branch_settings import BranchSettings
from rollback.domain.database.plan import DatabasePlan
from rollback.domain.database.progress import DatabaseOutcome
from rollback.domain.rollback import Outcome, Rollback
from rollback.domain.settings.database import DatabaseSettings, Strategy, branch_key
from rollback.errors import CallRefused, InvalidRequest, LeaseLost
from rollback.intents.announce import seconds_to_wait
from rollback.leases.hold import hold_branch_lease, renew_leases_of_stopped_services
from rollback.ports.holders import HasClock, HasNeon, HasSettings
from rollback.resources.database.errors import RetryLater
from rollback.service.newer_deployment import end_as_superseded, yield_before_data_changes


def database(rollback: Rollback, ports: DatabasePorts) -> Rollback:
    """Observe once, and make at most one change.

    Raises:
        LeaseLost: another rollback holds a lease that this one held. That rollback decides now (rule 3).
        ExternalServiceError: Neon or AWS did not answer. The record is complete; call again.
    """
    plan, settings = rollback.planned_database(), _database_settings(ports)
    holder = hold_branch_lease(rollback, plan, settings, ports)
    if holder is not None:
        return _wait_or_refuse(rollback, plan, holder, settings, ports)
    progress = rollback.database
    if progress is not None and (progress.why_not is not None or progress.ended_at is not None):
        with suppress(LeaseLost):  # cleaning up needs no other service's lease, but those services stand at zero tasks
            renew_leases_of_stopped_services(rollback, ports)
    if plan.strategy is not Strategy.DELETE:  # a closed pull request has no release to yield to
        rollback, is_over = yield_before_data_changes(rollback, ports)
        if is_over:
            return rollback
    try:
        return _run_round(rollback, plan, settings, ports)
    except RetryLater as later:
        if rollback.database is not None:
            raise
        return _retry_later(rollback, plan, later, settings, ports)
    except CallRefused as refused:
        if rollback.database is not None:
            raise
        return _refuse(rollback, plan.branch, f"database-is-accessible: {refused}", ports)


def _wait_or_refuse(
    rollback: Rollback, plan: DatabasePlan, holder: str, settings: DatabaseSettings, ports: WaitPorts
) -> Rollback:
    if _may_wait_for_predecessor(rollback, holder, settings, ports):
        since = rollback.database_waits_since or ports.clock.now()
        return rollback.evolve(database_waits_since=since, wait_seconds=ports.settings.policy.poll_seconds)
    reason = f"{holder} is changing branch {plan.branch}: wait until that rollback has concluded, and start again"
    return _refuse(rollback, plan.branch, reason, ports, may_succeed_later=True)


def _may_wait_for_predecessor(rollback: Rollback, holder: str, settings: DatabaseSettings, ports: HasClock) -> bool:
    """Whether the holder is the rollback that this one took over, and still has time to conclude."""
    if holder != rollback.continues_rollback_id:
        return False
    since = rollback.database_waits_since
    return since is None or ports.clock.now() - since <= timedelta(minutes=settings.restore_timeout_minutes)


def _run_round(rollback: Rollback, plan: DatabasePlan, settings: DatabaseSettings, ports: DatabasePorts) -> Rollback:
    try:
        branch_id = _find_branch_id(rollback, plan, settings, ports)
    except CallRefused as refused:
        return _refuse(rollback, plan.branch, f"database-is-accessible: {refused}", ports)
    if branch_id is None and plan.strategy is not Strategy.DELETE:  # a deletion succeeds if the branch is gone already
        return _refuse_unknown_branch(rollback, plan, settings, ports)
    context = BranchContext(
        settings=BranchSettings.of(ports.settings, branch_id or plan.branch),
        neon=ports.neon,
        sql=ports.sql,
        check_tables=make_table_check(rollback, plan, settings, ports),
    )
    if is_live_check_needed(rollback):
        decision = _check_live_schema(rollback, plan, settings, context, ports)
        if decision is not None:
            return decision
    rollback = _apply_outcome(_run_strategy(rollback, plan, context, ports), ports)
    progress = rollback.database
    if progress is not None and progress.is_over and progress.database_outcome is not DatabaseOutcome.REFUSED:
        branch_id = progress.current_branch_id or context.settings.branch_id
        observe_after_change(context, branch_id, ports, settled=progress.has_succeeded)
    return rollback


def _check_live_schema(
    rollback: Rollback,
    plan: DatabasePlan,
    settings: DatabaseSettings,
    context: BranchContext,
    ports: LiveSchemaPorts,
) -> Rollback | None:
    """Decide again, on the live schema, whether the database is rolled back too. None: yes, as planned."""
    verdict = judge_live_schema(rollback, settings, context, ports)
    if is_compatible(verdict):
        ports.ledger.release_lease(branch_key(settings.project_id, plan.branch), rollback.id)
        return revert_to_service_only(rollback, verdict)
    if not verdict.is_attributed:
        rollback, reason = refuse_unconfirmed(rollback, verdict)
        return _refuse(rollback, plan.branch, reason, ports)
    difference = why_down_migrations_differ(plan, verdict)
    if difference is not None:
        return _refuse(rollback, plan.branch, difference, ports, may_succeed_later=True)
    return None


def _refuse_unknown_branch(
    rollback: Rollback, plan: DatabasePlan, settings: DatabaseSettings, ports: DatabasePorts
) -> Rollback:
    branch_names = list_branch_names(tuple(ports.neon.branches()))
    reason = (
        f"project {settings.project_id} has no branch {plan.branch}: check the pull request's number, and "
        f"branch_pattern in the settings; its branches: {branch_names}"
    )
    return _refuse(rollback, plan.branch, reason, ports)


def _retry_later(
    rollback: Rollback, plan: DatabasePlan, later: RetryLater, settings: DatabaseSettings, ports: WaitPorts
) -> Rollback:
    """Ask Neon again for as long as a restore may take. Nothing has begun, so nothing waits at zero tasks."""
    now, limit = ports.clock.now(), settings.restore_timeout_minutes
    since = rollback.database_waits_since or now
    if now - since > timedelta(minutes=limit):
        reason = f"Neon could not be asked in {limit:g} minutes: {later}"
        return _refuse(rollback, plan.branch, reason, ports, may_succeed_later=True)
    return rollback.evolve(database_waits_since=since, wait_seconds=seconds_to_wait(later, ports))


def _run_strategy(rollback: Rollback, plan: DatabasePlan, context: BranchContext, ports: StrategyPorts) -> Rollback:
    match plan.strategy:
        case Strategy.RESTORE if plan.point is not None:
            return restore(rollback, plan.point, context, ports)
        case Strategy.RESET if plan.source_branch_id is not None:
            return reset(rollback, plan.source_branch_id, context, ports, undone_rollback_id=plan.undone_rollback_id)
        case Strategy.RECREATE:
            return recreate(rollback, plan, context, ports)
        case Strategy.DELETE:
            return delete(rollback, plan, context, ports)
        case Strategy.DOWN_MIGRATIONS:
            return run_down_migrations(rollback, plan, context, ports)
        case _:
            raise InvalidRequest(f"a plan with strategy {plan.strategy} can't be carried out: {plan}")


def _apply_outcome(rollback: Rollback, ports: WaitPorts) -> Rollback:
    """End the rollback if its database part ended it; leave it open if the service comes next or the part goes on.

    A restored branch leaves the rollback open, a deleted one ends it: no service runs on a deleted branch.
    A collision with another rollback suppresses an automatic rollback for now, because its alarm may stay in ALARM.
    """
    progress = rollback.database
    if progress is None or progress.database_outcome is None:
        return rollback
    if progress.database_outcome is DatabaseOutcome.DELETED:
        reason = rollback.plan.summary if rollback.plan is not None else ""
        return rollback.evolve(outcome=Outcome.SUCCEEDED, reason=reason, wait_seconds=0)
    if progress.has_succeeded:
        return rollback
    is_refused = progress.database_outcome is DatabaseOutcome.REFUSED
    reason = f"database: {progress.why_not}"
    if is_refused and rollback.newer is not None:
        return end_as_superseded(rollback, rollback.newer)
    if is_refused and progress.may_succeed_later and rollback.event is not None:
        recheck_at = ports.clock.now() + timedelta(minutes=ports.settings.policy.recheck_minutes)
        return rollback.evolve(outcome=Outcome.SUPPRESSED, reason=reason, recheck_at=recheck_at, wait_seconds=0)
    return rollback.evolve(outcome=Outcome.REFUSED if is_refused else Outcome.FAILED, reason=reason, wait_seconds=0)


def _refuse(
    rollback: Rollback, branch: str, reason: str, ports: WaitPorts, *, may_succeed_later: bool = False
) -> Rollback:
    """Refuse the database's part before anything was changed.

    Args:
        branch: name of the branch that stays as it is.
        may_succeed_later: whether another rollback or a newer observation is the reason. Then a later evaluation may go
            on.
    """
    now = ports.clock.now()
    progress = refused_progress(branch, f"{reason}; nothing was changed", now, may_succeed_later=may_succeed_later)
    return _apply_outcome(rollback.evolve(database=progress), ports)


def _find_branch_id(rollback: Rollback, plan: DatabasePlan, settings: DatabaseSettings, ports: HasNeon) -> str | None:
    """Neon's id of the branch. None: the project has no branch of that name.

    A pull request's branch is looked up once, because its name may be given to another branch during the rollback.
    """
    if settings.branch_id is not None:
        return settings.branch_id
    if rollback.database is not None and rollback.database.before.id is not None:
        return rollback.database.before.id
    branch = ports.neon.branch_named(plan.branch)
    return branch.id if branch is not None else None


def _database_settings(ports: HasSettings) -> DatabaseSettings:
    if ports.settings.database is None:
        raise InvalidRequest(f"no database is set for {ports.settings.environment} any more; nothing was changed")
    return ports.settings.database
