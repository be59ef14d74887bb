"""Account: compare the backup with what the restore left, after the rollback is concluded.

No lease is held and nothing waits for it: another rollback may begin meanwhile. All that is changed is named after this
rollback (a child branch), or is a compute of its backup, so that nobody else changes it; two invocations at once are
told apart by the document's version. Each change is announced in the document first, and looked for before it is made.
"""

from datetime import datetime, timedelta
from math import ceil

from rollback.database.data_loss.compare_branches import Comparison, Limits
from rollback.domain.database.data_loss import DataLossReport
from rollback.domain.database.data_loss_analysis import ComparisonBase, DataLossAnalysis, comparison_branch_name
from rollback.domain.database.progress import DatabaseOutcome, DatabaseProgress, OriginalBranch
from rollback.domain.rollback import Rollback
from rollback.domain.settings.database import DatabaseSettings, Strategy
from rollback.errors import CallRefused, ExternalServiceError, InvalidRequest
from rollback.ports.world import World
from rollback.resources.database.errors import AlreadyExists, OutcomeUnknown, RequestRefused, RetryLater

# Shares of the function's time: an invocation begins no table after the first, and a table takes four statements.
_BEGINS, _SUMS, _ROWS = 0.25, 0.12, 0.3


def schedule_comparison(rollback: Rollback, now: datetime) -> Rollback:
    """Owe an account from the conclusion on, if there is a backup and it was not told yet.

    Without a backup there is nothing to compare: all that is owed is to delete a compute that the source was given.
    """
    progress, source = rollback.database or _progress_without_restore(rollback, now), rollback.source_compute_branch_id
    if progress is None or progress.lost is not None or progress.account is not None:
        return rollback
    if progress.backup_id is None and source is None:
        return rollback
    owed = DataLossAnalysis(began_at=now, seen_at=now, computes=(source,) if source is not None else ())
    return rollback.evolve(
        database=progress.evolve(account=owed if progress.backup_id is not None else owed.evolve(ended_at=now))
    )


def _progress_without_restore(rollback: Rollback, now: datetime) -> DatabaseProgress | None:
    """Of a rollback that ended while the source was still looked at; None: its source was given no compute."""
    planned = rollback.plan.database if rollback.plan is not None else None
    if planned is None or rollback.source_compute_branch_id is None:
        return None
    before = OriginalBranch(name=planned.branch, protected=False)
    return DatabaseProgress(started_at=now, before=before).ended(DatabaseOutcome.REFUSED, now)


def compare_lost_rows(rollback: Rollback, world: World) -> Rollback:
    """One look, and at most one change or as many tables as one invocation has time for. It changes no outcome."""
    progress = rollback.database
    assert progress is not None  # noqa: S101 - the route comes here only with an account
    assert progress.account is not None  # noqa: S101
    now, poll = world.clock.now(), world.settings.policy.poll_seconds
    settings = world.settings.database
    if settings is None:
        return stop_comparison(rollback, "no database is set any more", now)
    limit = settings.data_loss_timeout_minutes
    if now - progress.account.began_at > timedelta(minutes=limit):
        return stop_comparison(rollback, f"not done in {limit:g} minutes", now)
    seen = progress.account.evolve(seen_at=now)
    try:
        return _advance_comparison(rollback, progress, seen, settings, world)
    except RetryLater as later:
        return _with_account(rollback, seen, max(poll, ceil(later.retry_after_seconds or 0)))
    except (CallRefused, InvalidRequest) as refused:
        return stop_comparison(rollback, str(refused), now)
    except ExternalServiceError:  # also a lost answer: the next look finds the branch or the compute, or makes it
        return _with_account(rollback, seen, poll)


def stop_comparison(rollback: Rollback, why: str, now: datetime) -> Rollback:
    """End the account with what was compared so far, and why the rest was not."""
    progress = rollback.database
    if progress is None or progress.account is None or progress.account.ended_at is not None:
        return rollback
    return _end_comparison(rollback, progress.account, progress.account.report.evolve(unavailable=why), now)


def resume_comparison(rollback: Rollback, account: DataLossAnalysis, now: datetime) -> Rollback:
    """Go on with an account that nobody goes on with: its time begins again, once."""
    return _with_account(rollback, account.evolve(is_resumed=True, began_at=now), 0)


def _advance_comparison(
    rollback: Rollback, progress: DatabaseProgress, account: DataLossAnalysis, settings: DatabaseSettings, world: World
) -> Rollback:
    if account.base is None:
        return _with_account(rollback, _choose_base_branch(rollback, progress, account, world), 0)
    if account.base is ComparisonBase.CHILD and account.base_id is None:
        return _create_base_branch(rollback, account, settings, world)
    assert progress.backup_id is not None  # noqa: S101 - the account was begun with one
    needed = (progress.backup_id, *((account.base_id,) if account.base is ComparisonBase.SOURCE else ()))
    for branch_id in (branch_id for branch_id in needed if branch_id is not None):
        if not world.databases.endpoints(branch_id):
            return _create_compute(rollback, account, branch_id, world)
    return _compare_next_tables(rollback, progress, account, settings, world)


def _choose_base_branch(
    rollback: Rollback, progress: DatabaseProgress, account: DataLossAnalysis, world: World
) -> DataLossAnalysis:
    """Choose what the backup is compared with: a branch that nothing writes to, where there can be one."""
    planned = rollback.plan.database if rollback.plan is not None else None
    restored = progress.branch_id or progress.before.id
    if planned is not None and planned.undone_rollback_id is not None and progress.source_branch_id is not None:
        return account.evolve(base=ComparisonBase.SOURCE, base_id=progress.source_branch_id)
    if progress.source_branch_id is None and progress.preview_lsn is not None:
        return account.evolve(base=ComparisonBase.CHILD, parent_id=progress.backup_id, lsn=progress.preview_lsn)
    if planned is not None and planned.strategy in (Strategy.RESET, Strategy.RECREATE) and restored is not None:
        branch = world.databases.branch(restored)
        source = progress.source_branch_id or planned.source_branch_id
        if branch is not None and branch.parent_lsn is not None and branch.parent_id == source:
            return account.evolve(base=ComparisonBase.CHILD, parent_id=restored, lsn=branch.parent_lsn)
    why = "it was changed in place" if planned is None or planned.strategy is Strategy.DOWN_MIGRATIONS else ""
    return account.evolve(base=ComparisonBase.BRANCH, base_id=restored, child_refusal=why)


def _create_base_branch(
    rollback: Rollback, account: DataLossAnalysis, settings: DatabaseSettings, world: World
) -> Rollback:
    """Make the child, once: its name follows from the rollback's id, and Neon refuses a name twice."""
    assert account.parent_id is not None  # noqa: S101 - chosen with the base
    name, poll, now = comparison_branch_name(rollback.id), world.settings.policy.poll_seconds, world.clock.now()
    found = world.databases.branch_named(name)
    if found is not None:
        return _with_account(rollback, account.evolve(base_id=found.id), 0)
    if account.child_requested_at is None:
        return _with_account(rollback, account.evolve(child_requested_at=now), 0)
    expires_at = now + timedelta(hours=settings.preview_hours) if account.expires else None
    try:
        world.databases.create_branch(name, account.parent_id, account.lsn, with_endpoint=True, expires_at=expires_at)
    except (AlreadyExists, OutcomeUnknown):  # the next look finds it
        return _with_account(rollback, account, poll)
    except RequestRefused as refused:
        if account.expires:  # not every project lets a branch expire (Neon's documentation, "Branch expiration")
            return _with_account(rollback, account.evolve(expires=False), 0)
        restored = (rollback.database and rollback.database.branch_id) or _restored_branch_id(rollback)
        live = account.evolve(
            base=ComparisonBase.BRANCH, base_id=restored, child_refusal=str(refused), child_requested_at=None
        )
        return _with_account(rollback, live, 0)
    return _with_account(rollback, account, poll)


def _restored_branch_id(rollback: Rollback) -> str | None:
    return rollback.database.before.id if rollback.database is not None else None


def _create_compute(rollback: Rollback, account: DataLossAnalysis, branch_id: str, world: World) -> Rollback:
    """Announced, so that it is deleted whatever happens; one that was there before stays."""
    if branch_id not in account.computes:
        return _with_account(rollback, account.evolve(computes=(*account.computes, branch_id)), 0)
    world.databases.create_endpoint(branch_id)
    return _with_account(rollback, account, world.settings.policy.poll_seconds)


def _compare_next_tables(
    rollback: Rollback, progress: DatabaseProgress, account: DataLossAnalysis, settings: DatabaseSettings, world: World
) -> Rollback:
    assert progress.backup_id is not None  # noqa: S101 - the account was begun with one
    if account.base_id is None:
        return stop_comparison(rollback, "which branch was restored is not recorded", world.clock.now())
    backup, restored = (
        world.databases.connection_uri(branch_id, settings.database, settings.role)
        for branch_id in (progress.backup_id, account.base_id)
    )
    comparison = Comparison(
        sql=world.sql,
        backup=backup,
        restored=restored,
        main_database=settings.database,
        limits=_limits(settings, world),
        report=account.report.evolve(against=_describe_base(account, progress)),
        position=account.position,
    )
    try:
        is_done = comparison.compare_remaining()
    except RetryLater:
        if comparison.position == account.position:
            raise
        is_done = False
    if is_done:
        return _end_comparison(rollback, account, comparison.report, world.clock.now())
    again = account.evolve(report=comparison.report, position=comparison.position, seen_at=world.clock.now())
    return _with_account(rollback, again, world.settings.policy.poll_seconds)


def _limits(settings: DatabaseSettings, world: World) -> Limits:
    seconds, began = world.settings.policy.database_timeout_seconds, world.clock.now()

    def passed() -> float:
        return (world.clock.now() - began).total_seconds()

    return Limits(
        is_over=lambda: passed() > _BEGINS * seconds,
        now=passed,
        sums_seconds=_SUMS * seconds,
        rows_seconds=_ROWS * seconds,
        keys=settings.report_keys == "keys",
    )


def _describe_base(account: DataLossAnalysis, progress: DatabaseProgress) -> str:
    match account.base:
        case ComparisonBase.CHILD:
            return f"against a branch made at {account.lsn}, which nothing else writes to"
        case ComparisonBase.SOURCE:
            return f"against branch {account.base_id}, which it went back to"
        case _:
            since = f"{progress.ended_at:%H:%M:%S} UTC" if progress.ended_at is not None else "its change"
            why = f" ({account.child_refusal})" if account.child_refusal else ""
            return (
                f"against branch {progress.before.name} as it is now{why}: rows that services have changed since "
                f"{since} show as changed"
            )


def _end_comparison(rollback: Rollback, account: DataLossAnalysis, report: DataLossReport, now: datetime) -> Rollback:
    """The report is kept once, and is to be told: `conclude` does."""
    assert rollback.database is not None  # noqa: S101 - it has an account
    ended = account.evolve(ended_at=now, seen_at=now, report=DataLossReport())
    return rollback.evolve(database=rollback.database.evolve(lost=report, account=ended), wait_seconds=0)


def _with_account(rollback: Rollback, account: DataLossAnalysis, wait_seconds: int) -> Rollback:
    assert rollback.database is not None  # noqa: S101 - it has an account
    return rollback.evolve(database=rollback.database.evolve(account=account), wait_seconds=wait_seconds)
