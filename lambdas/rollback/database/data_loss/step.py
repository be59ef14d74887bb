"""Data Loss: compare the backup with the restored branch, after the rollback is concluded.

The step holds no lease, and nothing waits for it: another rollback may begin during it. It changes only a child branch
that is named after this rollback, and computes of this rollback's backup, which no other rollback touches. The record's
version lets only one of two concurrent invocations save. Each change is announced in the record, and each round checks
for its effect before it makes the change.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from math import ceil

from rollback.database.data_loss.compare_branches import Comparison, Limits
from rollback.database.data_loss.open_analysis import OpenAnalysis
from rollback.database.data_loss.ports import ComparisonPorts
from rollback.domain.database.data_loss import DataLossReport
from rollback.domain.database.data_loss_analysis import ComparisonBase, DataLossAnalysis, comparison_branch_name
from rollback.domain.database.progress import (
    DatabaseOutcome,
    DatabaseProgress,
    OriginalBranch,
    RecreateProgress,
    RefusedProgress,
    ResetProgress,
    RestoreProgress,
)
from rollback.domain.rollback import Rollback
from rollback.domain.settings.database import DatabaseSettings, Strategy
from rollback.errors import CallRefused, ExternalServiceError, InvalidRequest
from rollback.ports.holders import HasNeon
from rollback.resources.database.errors import AlreadyExists, OutcomeUnknown, RequestRefused, RetryLater

# Shares of the function's time: after the first, an invocation begins no table, and a table takes four statements.
_BEGINS, _SUMS, _ROWS = 0.25, 0.12, 0.3


def schedule_comparison(rollback: Rollback, now: datetime) -> Rollback:
    """Begin the analysis at the conclusion, if the rollback has a backup that was not compared yet.

    Without a backup there is nothing to compare. Then only the compute is deleted that the source of an undo was given.
    """
    progress, source = rollback.database or _progress_without_restore(rollback, now), rollback.source_compute_branch_id
    if progress is None or progress.data_loss is not None or progress.data_loss_analysis is not None:
        return rollback
    if progress.backup_id is None and source is None:
        return rollback
    analysis = DataLossAnalysis(began_at=now, seen_at=now, computes=(source,) if source is not None else ())
    if progress.backup_id is None:
        analysis = analysis.evolve(ended_at=now)
    return rollback.evolve(database=progress.evolve(data_loss_analysis=analysis))


def _progress_without_restore(rollback: Rollback, now: datetime) -> DatabaseProgress | None:
    """Progress of a rollback that ended while its source was examined. None: the source was given no compute."""
    planned = rollback.plan.database if rollback.plan is not None else None
    if planned is None or rollback.source_compute_branch_id is None:
        return None
    original_branch = OriginalBranch(name=planned.branch, protected=False)
    return RefusedProgress(started_at=now, before=original_branch).ended(DatabaseOutcome.REFUSED, now)


def compare_lost_rows(rollback: Rollback, ports: ComparisonPorts) -> Rollback:
    """Make at most one change, or compare as many tables as one invocation has time for. The outcome never changes."""
    open_analysis = OpenAnalysis.of(rollback)
    now, poll = ports.clock.now(), ports.settings.policy.poll_seconds
    settings = ports.settings.database
    if settings is None:
        return stop_comparison(rollback, "the settings no longer have a database", now)
    limit = settings.data_loss_timeout_minutes
    if now - open_analysis.analysis.began_at > timedelta(minutes=limit):
        return stop_comparison(rollback, f"the comparison did not end in {limit:g} minutes", now)
    open_analysis = replace(open_analysis, analysis=open_analysis.analysis.evolve(seen_at=now))
    try:
        return _advance_comparison(open_analysis, settings, ports)
    except RetryLater as later:
        return open_analysis.save(open_analysis.analysis, max(poll, ceil(later.retry_after_seconds or 0)))
    except (CallRefused, InvalidRequest) as refused:
        return stop_comparison(rollback, str(refused), now)
    except ExternalServiceError:  # an answer may be lost: the next round finds the branch or the compute, or creates it
        return open_analysis.save(open_analysis.analysis, poll)


def stop_comparison(rollback: Rollback, reason: str, now: datetime) -> Rollback:
    """End the analysis. The report has the tables compared so far, and why the others were not."""
    progress = rollback.database
    if progress is None or progress.data_loss_analysis is None or progress.data_loss_analysis.ended_at is not None:
        return rollback
    open_analysis = OpenAnalysis.of(rollback)
    return _end_comparison(open_analysis, open_analysis.analysis.report.evolve(unavailable=reason), now)


def resume_comparison(rollback: Rollback, analysis: DataLossAnalysis, now: datetime) -> Rollback:
    """Resume an abandoned analysis, once; its time limit begins again."""
    return OpenAnalysis.of(rollback).save(analysis.evolve(is_resumed=True, began_at=now))


def _advance_comparison(open_analysis: OpenAnalysis, settings: DatabaseSettings, ports: ComparisonPorts) -> Rollback:
    analysis, backup_id = open_analysis.analysis, open_analysis.progress.backup_id
    if analysis.base is None:
        return open_analysis.save(_choose_base_branch(open_analysis, ports))
    if analysis.base is ComparisonBase.CHILD and analysis.base_id is None:
        return _create_base_branch(open_analysis, settings, ports)
    if backup_id is None:
        return stop_comparison(open_analysis.rollback, "the id of the backup is not recorded", ports.clock.now())
    if analysis.base_id is None:
        return stop_comparison(open_analysis.rollback, "the restored branch is not recorded", ports.clock.now())
    readable = (backup_id, analysis.base_id) if analysis.base is ComparisonBase.SOURCE else (backup_id,)
    for branch_id in readable:
        if not ports.neon.endpoints(branch_id):
            return _create_compute(open_analysis, branch_id, ports)
    return _compare_next_tables(open_analysis, backup_id, analysis.base_id, settings, ports)


def _choose_base_branch(open_analysis: OpenAnalysis, ports: HasNeon) -> DataLossAnalysis:
    """Choose the branch that the backup is compared with: if possible, a branch that no service writes to."""
    analysis, progress = open_analysis.analysis, open_analysis.progress
    planned = open_analysis.rollback.plan.database if open_analysis.rollback.plan is not None else None
    restored_id = progress.current_branch_id
    source_id = progress.source_branch_id if isinstance(progress, ResetProgress | RecreateProgress) else None
    if planned is not None and planned.undone_rollback_id is not None and source_id is not None:
        return analysis.evolve(base=ComparisonBase.SOURCE, base_id=source_id)
    if isinstance(progress, RestoreProgress) and progress.preview_lsn is not None:
        return analysis.evolve(base=ComparisonBase.CHILD, parent_id=progress.backup_id, lsn=progress.preview_lsn)
    if planned is not None and planned.strategy in (Strategy.RESET, Strategy.RECREATE) and restored_id is not None:
        branch = ports.neon.branch(restored_id)
        source_id = source_id or planned.source_branch_id
        if branch is not None and branch.parent_lsn is not None and branch.parent_id == source_id:
            return analysis.evolve(base=ComparisonBase.CHILD, parent_id=restored_id, lsn=branch.parent_lsn)
    is_in_place = planned is None or planned.strategy is Strategy.DOWN_MIGRATIONS
    child_refusal = "the branch was changed in place" if is_in_place else ""
    return analysis.evolve(base=ComparisonBase.BRANCH, base_id=restored_id, child_refusal=child_refusal)


def _create_base_branch(open_analysis: OpenAnalysis, settings: DatabaseSettings, ports: ComparisonPorts) -> Rollback:
    """Create the child branch once: its name follows from the rollback's id, and Neon refuses a name twice."""
    analysis = open_analysis.analysis
    name, poll, now = (
        comparison_branch_name(open_analysis.rollback.id),
        ports.settings.policy.poll_seconds,
        ports.clock.now(),
    )
    child = ports.neon.branch_named(name)
    if child is not None:
        return open_analysis.save(analysis.evolve(base_id=child.id))
    if analysis.child_requested_at is None:
        return open_analysis.save(analysis.evolve(child_requested_at=now))
    if analysis.parent_id is None:
        return stop_comparison(open_analysis.rollback, "the parent of the comparison's branch is not recorded", now)
    expires_at = now + timedelta(hours=settings.preview_hours) if analysis.expires else None
    try:
        ports.neon.create_branch(name, analysis.parent_id, analysis.lsn, with_endpoint=True, expires_at=expires_at)
    except (AlreadyExists, OutcomeUnknown):
        return open_analysis.save(analysis, poll)  # the next round finds the child
    except RequestRefused as refused:
        if analysis.expires:  # some projects allow no expiry (Neon's documentation, "Branch expiration")
            return open_analysis.save(analysis.evolve(expires=False))
        restored_id = open_analysis.progress.current_branch_id
        branch_analysis = analysis.evolve(
            base=ComparisonBase.BRANCH, base_id=restored_id, child_refusal=str(refused), child_requested_at=None
        )
        return open_analysis.save(branch_analysis)
    return open_analysis.save(analysis, poll)


def _create_compute(open_analysis: OpenAnalysis, branch_id: str, ports: ComparisonPorts) -> Rollback:
    """Announce a compute, then create it. Only an announced compute is deleted; one that was there before stays."""
    analysis = open_analysis.analysis
    if branch_id not in analysis.computes:
        return open_analysis.save(analysis.evolve(computes=(*analysis.computes, branch_id)))
    ports.neon.create_endpoint(branch_id)
    return open_analysis.save(analysis, ports.settings.policy.poll_seconds)


def _compare_next_tables(
    open_analysis: OpenAnalysis, backup_id: str, base_id: str, settings: DatabaseSettings, ports: ComparisonPorts
) -> Rollback:
    analysis = open_analysis.analysis
    backup, restored = (
        ports.neon.connection_uri(branch_id, settings.database, settings.role) for branch_id in (backup_id, base_id)
    )
    comparison = Comparison(
        sql=ports.sql,
        backup=backup,
        restored=restored,
        main_database=settings.database,
        limits=_limits(settings, ports),
        report=analysis.report.evolve(against=_describe_base(open_analysis)),
        position=analysis.position,
    )
    try:
        is_done = comparison.compare_remaining()
    except RetryLater:
        if comparison.position == analysis.position:
            raise
        is_done = False
    if is_done:
        return _end_comparison(open_analysis, comparison.report, ports.clock.now())
    advanced_analysis = analysis.evolve(
        report=comparison.report, position=comparison.position, seen_at=ports.clock.now()
    )
    return open_analysis.save(advanced_analysis, ports.settings.policy.poll_seconds)


def _limits(settings: DatabaseSettings, ports: ComparisonPorts) -> Limits:
    seconds, began_at = ports.settings.policy.database_timeout_seconds, ports.clock.now()

    def elapsed_seconds() -> float:
        return (ports.clock.now() - began_at).total_seconds()

    return Limits(
        is_over=lambda: elapsed_seconds() > _BEGINS * seconds,
        now=elapsed_seconds,
        sums_seconds=_SUMS * seconds,
        rows_seconds=_ROWS * seconds,
        keys=settings.report_keys == "keys",
    )


def _describe_base(open_analysis: OpenAnalysis) -> str:
    analysis, progress = open_analysis.analysis, open_analysis.progress
    match analysis.base:
        case ComparisonBase.CHILD:
            return f"against a branch created at {analysis.lsn}, which no service writes to"
        case ComparisonBase.SOURCE:
            return f"against branch {analysis.base_id}, the source of the restore"
        case _:
            since = f"{progress.ended_at:%H:%M:%S} UTC" if progress.ended_at is not None else "its change"
            reason = f" ({analysis.child_refusal})" if analysis.child_refusal else ""
            return (
                f"against branch {progress.before.name} as it is now{reason}: rows that services have changed since "
                f"{since} show as changed"
            )


def _end_comparison(open_analysis: OpenAnalysis, report: DataLossReport, now: datetime) -> Rollback:
    """Move the report out of the analysis into the progress; Conclude sends it."""
    ended_analysis = open_analysis.analysis.evolve(ended_at=now, seen_at=now, report=DataLossReport())
    return open_analysis.rollback.evolve(
        database=open_analysis.progress.evolve(data_loss=report, data_loss_analysis=ended_analysis), wait_seconds=0
    )
