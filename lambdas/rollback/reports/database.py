"""What people are told about the database: where it went, where its old state is, what that took out of it."""

from collections.abc import Iterator

from rollback.domain.database.progress import (
    CommandRun,
    DatabaseProgress,
    DownMigrationProgress,
    OverwriteProgress,
    RecreateProgress,
    backup_name,
)
from rollback.domain.rollback import ObligationKind, Rollback
from rollback.domain.settings.database import Strategy

_MOST_SEQUENCES = 20


def format_database(rollback: Rollback) -> list[str]:
    """Lines of the report; none if the database was no part of it."""
    planned = rollback.plan.database if rollback.plan is not None else None
    if planned is None:
        return []
    progress, what = rollback.database, planned.in_words.removeprefix("database ")
    if progress is None:
        return [f"Database, planned: {what}; nothing was done about it"]
    lines = [f"Database, branch {progress.before.name}: {what}: {_state(progress, rollback.reason)}"]
    lines += [f"  {c.verdict:7} {c.name}: {c.reason}" for c in progress.schema_checks]
    for run in progress.ran if isinstance(progress, DownMigrationProgress) else ():
        lines.append(f"  {run.name}: {_exit(run)}")
        lines += [f"    {line}" for line in run.logs]
    head = progress.fence.head
    if head is not None:
        lines.append(f"  Behind the fence its log ended at {head.lsn}, {head.at:%H:%M:%S} UTC")
    if progress.backup_id is not None:
        lines.append(f"  Its state before is kept in branch {progress.backup_id}; to go back to that:")
        lines.append(f"    rollback undo {rollback.environment} {rollback.id}")
    lines += [f"  {line}" for line in _time_at_zero(rollback, progress)]
    if isinstance(progress, OverwriteProgress) and progress.sequences_carried:
        lines += ["  Sequences:", *(f"    {one.in_words()}" for one in progress.sequences_carried)]
        if progress.more_sequences_carried:
            lines.append(f"    {progress.more_sequences_carried} more")
    lines += [f"  {line}" for line in _sequences_not_continued(rollback, progress)]
    if progress.lost is not None:
        lines += ["  Lost writes:", *(f"    {line}" for line in progress.lost.in_words())]
    elif progress.backup_id is not None:
        lines.append("  Lost writes: the backup is compared once this rollback is over; another report follows")
    if isinstance(progress, RecreateProgress) and progress.is_redeploy_needed:
        lines.append("  The secret with its address was replaced: tasks that ran before must be started anew")
    lines += [f"  {note}" for note in progress.notes]
    return lines


def _sequences_not_continued(rollback: Rollback, progress: DatabaseProgress) -> Iterator[str]:
    """Of a restore that did not come to its end: whoever starts the services has to know."""
    if rollback.outcome is None or not isinstance(progress, OverwriteProgress) or progress.backup_id is None:
        return
    if not progress.sequences:
        return
    yield "Its sequences were not continued, or not seen to be: ids of lost rows come again, unless each is set before"
    yield "  services start (SELECT setval('schema.name', value)); they were at:"
    known = rollback.settings.database.database if rollback.settings and rollback.settings.database else ""
    for one in progress.sequences[:_MOST_SEQUENCES]:
        yield f"    {one.in_words(known)}: {one.last_value}"
    more = len(progress.sequences) - _MOST_SEQUENCES + progress.sequences_left_out
    if more > 0:
        yield f"    {more} more, which the backup tells"


def _time_at_zero(rollback: Rollback, progress: DatabaseProgress) -> Iterator[str]:
    """How long each writer had no task, and how much of that the restore took. Nothing of what had none before."""
    for one in progress.fence.zero_task_periods:
        fences = [
            owed
            for owed in rollback.obligations
            if owed.kind is ObligationKind.FENCE and rollback.service_of_obligation(owed) == one.service
        ]
        if not any(int(owed.before.get("desired_count", 0)) for owed in fences):
            continue
        asked = next((owed.discharged_at for owed in fences if owed.discharged_at is not None), None)
        until = one.until or asked
        if until is None:
            yield f"{one.service}: at zero tasks since {one.since:%H:%M:%S} UTC"
            continue
        seconds = round((until - one.since).total_seconds())
        seen = "" if one.until is not None else "; then ECS was asked to start it"
        yield f"{one.service}: at zero tasks for {seconds} s{_of_which_restore(progress)}{seen}"


def _of_which_restore(progress: DatabaseProgress) -> str:
    if progress.data_change_announced_at is None or progress.verified_at is None:
        return ""
    seconds = (progress.verified_at - progress.data_change_announced_at).total_seconds()
    return f", of which the restore took {round(seconds)} s"


def _exit(run: CommandRun) -> str:
    if run.ended_at is None:
        return f"was started as {run.arn}, its end was not seen"
    return f"exit code {run.exit_code}" if run.exit_code is not None else f"no exit code: {run.reason}"


def safe_condition(rollback: Rollback) -> list[str]:
    """Where things were left by a rollback that did not succeed: which release, which data, which backup."""
    progress = rollback.database
    if progress is None or rollback.plan is None:
        return []
    target = rollback.plan.target.version if rollback.plan.target is not None else "nothing"
    moved = rollback.service is not None and rollback.service.acted_at is not None
    backup = f"backup branch {progress.backup_id}" if progress.backup_id is not None else "no backup branch was seen"
    unknown = _not_known(rollback, progress)
    if unknown is not None:
        data, backup = unknown
    elif not progress.may_have_changed_data:
        data = "the data is untouched"
    elif progress.has_succeeded:
        data = "the data is as planned"
    else:
        data = "the data may be overwritten, or half changed"
    stays = [
        owed.service or rollback.service_name
        for owed in rollback.left_to_operator()
        if owed.kind is ObligationKind.FENCE
    ]
    is_stopped = stays or rollback.is_fenced or progress.may_have_changed_data
    runs = "is what the service would run" if is_stopped else "runs"
    release = f"{target} was deployed" if moved else f"{rollback.plan.running.version} {runs}"
    fenced = f"; left at zero tasks, so that nothing writes to it: {', '.join(stays)}" if stays else ""
    protection = [o for o in rollback.left_to_operator() if o.kind is ObligationKind.BRANCH_PROTECTION]
    unprotected = [
        f"Protect branch {owed.before['branch_id']} again, in Neon's console or by `rollback unfence`"
        for owed in protection
    ]
    return [f"Condition: {release}; {data}; {backup}{fenced}", *unprotected]


def _not_known(rollback: Rollback, progress: DatabaseProgress) -> tuple[str, str] | None:
    """Describe the data and its backup while their state is not known; None: it is known."""
    planned = rollback.plan.database if rollback.plan is not None else None
    if planned is not None and planned.strategy is Strategy.DELETE:
        look = (
            f"look in Neon's console whether branch {progress.before.name} is there; it can be had back for seven days"
        )
    else:
        look = f"look in Neon's console for a branch {backup_name(rollback.id)}: it has the state before"
    if progress.not_known is not None:
        data = f"whether the data was changed is NOT KNOWN ({progress.not_known})"
        return data, look
    if progress.has_unanswered_change and progress.may_have_changed_data:
        data = "whether the data was changed is not known yet: Neon is being asked, and another report follows"
        return data, look
    return None


def _state(progress: DatabaseProgress, said: str) -> str:
    if progress.has_succeeded:
        return "done"
    why = progress.why_not or "it did not come to its end"
    return f"{progress.database_outcome or 'not ended'}: {'see why' if why in said else why}"
