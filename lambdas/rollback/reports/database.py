"""The report's section about the database: where it went, where its former state is, and which rows it lost."""

from collections.abc import Iterator
from datetime import datetime

from rollback.domain.database.plan import DatabasePlan
from rollback.domain.database.progress import (
    CommandRun,
    DatabaseProgress,
    DownMigrationProgress,
    OverwriteProgress,
    RecreateProgress,
)
from rollback.domain.obligation import Obligation, ObligationKind
from rollback.domain.rollback import Rollback
from rollback.reports.data_loss import format_data_loss

_MAX_SEQUENCES = 20


def format_database(rollback: Rollback) -> list[str]:
    """Lines of the report; none if the plan has no database."""
    planned = rollback.plan.database if rollback.plan is not None else None
    if planned is None:
        return []
    if rollback.database is None:
        return [f"Database, planned: {_planned_change(planned)}; not begun"]
    progress = rollback.database
    heading = f"Database, branch {progress.before.name}: {_planned_change(planned)}"
    facts = (
        *(f"{check.verdict:7} {check.name}: {check.reason}" for check in progress.schema_checks),
        *_commands_run(progress),
        *_former_state(rollback, progress),
        *_time_at_zero(rollback, progress),
        *_sequences_continued(progress),
        *_sequences_not_advanced(rollback, progress),
        *_data_loss(progress),
        *_replaced_address(progress),
        *progress.notes,
    )
    return [f"{heading}: {_result(progress, rollback.reason)}", *(f"  {fact}" for fact in facts)]


def _planned_change(planned: DatabasePlan) -> str:
    return planned.in_words.removeprefix("database ")


def _result(progress: DatabaseProgress, reason: str) -> str:
    if progress.has_succeeded:
        return "done"
    failure = progress.why_not or "the change did not end"
    return f"{progress.database_outcome or 'not ended'}: {'see Why' if failure in reason else failure}"


def _commands_run(progress: DatabaseProgress) -> Iterator[str]:
    for run in progress.ran if isinstance(progress, DownMigrationProgress) else ():
        yield f"{run.name}: {_exit(run)}"
        yield from (f"  {line}" for line in run.logs)


def _exit(run: CommandRun) -> str:
    if run.ended_at is None:
        return f"task {run.arn} was started, and its end is not known"
    return f"exit code {run.exit_code}" if run.exit_code is not None else f"no exit code: {run.reason}"


def _former_state(rollback: Rollback, progress: DatabaseProgress) -> Iterator[str]:
    """Say where the log ended, and which command goes back to the backup."""
    head = progress.fence.head
    if head is not None:
        yield f"End of the log once all writers had stopped: {head.lsn}, {head.at:%H:%M:%S} UTC"
    if progress.backup_id is not None:
        yield f"Backup branch {progress.backup_id} has the state before the change; to return to that state:"
        yield f"  rollback undo {rollback.environment} {rollback.id}"


def _time_at_zero(rollback: Rollback, progress: DatabaseProgress) -> Iterator[str]:
    """Say how long each writer had no task, and how much of that the restore took.

    A writer that had no task before the fence is left out.
    """
    for period in progress.fence.zero_task_periods:
        fences = [
            obligation for obligation in rollback.obligations if _is_fence_of(obligation, period.service, rollback)
        ]
        if not any(int(obligation.before.get("desired_count", 0)) for obligation in fences):
            continue
        start_requested_at = next(
            (obligation.discharged_at for obligation in fences if obligation.discharged_at is not None), None
        )
        until = period.until or start_requested_at
        if until is None:
            yield f"{period.service}: at zero tasks since {period.since:%H:%M:%S} UTC"
            continue
        remark = "" if period.until is not None else "; a running task was not observed"
        yield f"{period.service}: at zero tasks for {_seconds(period.since, until)}{_restore_time(progress)}{remark}"


def _is_fence_of(obligation: Obligation, service_name: str, rollback: Rollback) -> bool:
    return obligation.kind is ObligationKind.FENCE and rollback.service_of_obligation(obligation) == service_name


def _restore_time(progress: DatabaseProgress) -> str:
    if progress.data_change_announced_at is None or progress.verified_at is None:
        return ""
    return f", of which the restore took {_seconds(progress.data_change_announced_at, progress.verified_at)}"


def _seconds(since: datetime, until: datetime) -> str:
    return f"{round((until - since).total_seconds())} s"


def _sequences_continued(progress: DatabaseProgress) -> Iterator[str]:
    if not isinstance(progress, OverwriteProgress) or not progress.sequences_carried:
        return
    yield "Sequences:"
    yield from (f"  {entry.in_words()}" for entry in progress.sequences_carried)
    if progress.more_sequences_carried:
        yield f"  {progress.more_sequences_carried} more"


def _sequences_not_advanced(rollback: Rollback, progress: DatabaseProgress) -> Iterator[str]:
    """Warn about sequences of a restore that did not end, before an operator starts the services."""
    if rollback.outcome is None or not isinstance(progress, OverwriteProgress) or progress.backup_id is None:
        return
    if not progress.sequences:
        return
    yield "Sequences were not advanced, or this is unknown: new rows may reuse ids of removed rows"
    yield "  Before services start, set each by SELECT setval('schema.name', value); the last values were:"
    main_database = rollback.settings.database.database if rollback.settings and rollback.settings.database else ""
    for sequence in progress.sequences[:_MAX_SEQUENCES]:
        yield f"    {sequence.in_words(main_database)}: {sequence.last_value}"
    more = len(progress.sequences) - _MAX_SEQUENCES + progress.sequences_left_out
    if more > 0:
        yield f"    {more} more, which the backup branch has"


def _data_loss(progress: DatabaseProgress) -> Iterator[str]:
    if progress.data_loss is not None:
        yield "Data loss:"
        yield from (f"  {line}" for line in format_data_loss(progress.data_loss))
    elif progress.backup_id is not None:
        yield "Data loss: the backup is compared after this rollback has ended; another report follows"


def _replaced_address(progress: DatabaseProgress) -> Iterator[str]:
    if isinstance(progress, RecreateProgress) and progress.is_redeploy_needed:
        time = f"{progress.ended_at:%H:%M:%S} UTC" if progress.ended_at is not None else "this rollback"
        yield (
            "The connection secret has a new host: force a new deployment of every service with tasks started before "
            f"{time}"
        )
