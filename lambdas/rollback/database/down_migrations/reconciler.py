"""Down-migrations: the running release's own way down, one task for each migration, behind the fence.

The running release ships the down files, so it is its definition that runs, with another command. Called again and
again until `rollback.database.ended_at` is set. What ran is never run again: a lost answer is looked up by who started
the task, and the client token of each command is the same for a retry.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from rollback.check import Check
from rollback.database.changes.begin import begin_after_checks
from rollback.database.changes.reconcile import outcome_after_failure, reconcile
from rollback.database.changes.send import may_still_arrive
from rollback.database.down_migrations.actions import command_intent, make_change
from rollback.database.down_migrations.next_action import (
    Command,
    DownMigrationMove,
    DownMigrationSnapshot,
    build_commands,
    find_down_migration_objection,
    find_running_command,
    next_down_migration_move,
)
from rollback.database.preflight.context import RestoreContext
from rollback.database.preflight.preflight import check_background_work
from rollback.database.restore.observe import operation_status
from rollback.domain.database.data_loss import DataLossReport
from rollback.domain.database.plan import DatabasePlan
from rollback.domain.database.progress import CommandRun, DatabaseOutcome, DatabaseProgress, backup_name
from rollback.domain.rollback import Rollback
from rollback.domain.settings.database import DatabaseSettings
from rollback.errors import CallRefused, ExternalServiceError, InvalidRequest
from rollback.ports.world import World
from rollback.resources.aws.ecs_task import without_passwords
from rollback.resources.aws.task_definition import is_pinned

_CHANGES = frozenset(
    {
        DownMigrationMove.CREATE_BACKUP,
        DownMigrationMove.RUN_COMMAND,
        DownMigrationMove.STOP_TASK,
        DownMigrationMove.EXPIRE_BACKUP,
        DownMigrationMove.DELETE_BACKUP,
    }
)
# Kept in the document, of which DynamoDB takes 400 KB: many lines of the command that failed, few of the others.
_LOG_LINES, _FEW_LINES, _LONGEST_LINE = 20, 3, 300


def run_down_migrations(rollback: Rollback, plan: DatabasePlan, restoring: RestoreContext, world: World) -> Rollback:
    """One look, at most one change.

    It ends restored; refused, if no command ran; or failed: what stepped down and what did not is said.

    Raises:
        InvalidRequest: the environment has no database any more.
        LeaseLost: somebody else holds a lease of ours: whoever it is knows more than we do (rule 3).
        ExternalServiceError: Neon or AWS could not be asked; nothing is lost, call again.
    """
    settings = _settings(world)
    if rollback.database is None:
        return begin_after_checks(
            rollback, lambda: _preflight(rollback, plan, settings, restoring, world), restoring, world, {}
        )
    commands = build_commands(settings, plan.migrations)

    def one_move(rollback: Rollback, progress: DatabaseProgress, restoring: RestoreContext, world: World) -> Rollback:
        return _make_next_move(rollback, progress, commands, settings, restoring, world)

    more = settings.task_timeout_minutes * len(commands)
    return reconcile(rollback, rollback.database, restoring, world, one_move, more_minutes=more)


def _settings(world: World) -> DatabaseSettings:
    if world.settings.database is None:
        raise InvalidRequest(f"no database is set for {world.settings.environment} any more")
    return world.settings.database


def _preflight(
    rollback: Rollback, plan: DatabasePlan, settings: DatabaseSettings, restoring: RestoreContext, world: World
) -> tuple[Check, ...]:
    try:
        branch = restoring.databases.branch(restoring.target.branch_id)
        restoring.address(restoring.target.branch_id)
    except CallRefused as refused:
        return (Check.failed("database-access", str(refused)),)
    gone = f"project {settings.project_id} has no branch {restoring.target.branch_id}"
    no_command = "down_command is not set: how does a container of the release step a migration down?"
    return (
        Check.failed_if(gone if branch is None else None, "branch-exists", plan.branch),
        Check.failed_if(
            None if settings.down_command else no_command, "down-command-is-set", " ".join(settings.down_command)
        ),
        Check.failed_if(
            None if plan.migrations else "the plan names none", "migrations-are-named", ", ".join(plan.migrations)
        ),
        _check_definition(rollback, world),
        *(check_background_work(restoring, replaces_data=False) if branch is not None else ()),
    )


def _check_definition(rollback: Rollback, world: World) -> Check:
    """ECS runs no task of an INACTIVE definition, and the container must be there."""
    name = "running-release-can-run-a-task"
    if rollback.plan is None:
        return Check.failed(name, "there is no plan that names the running release")
    arn, container = rollback.plan.running.definition_arn, world.settings.service(rollback.service_name).container
    found = world.services.definition(arn)
    if found is None or found.get("status") != "ACTIVE":
        why = (
            f"{arn} is {found.get('status') if found is not None else 'gone'}: ECS runs no task of it; restore instead"
        )
        return Check.failed(name, why)
    containers = [one.get("name") for one in found.get("containerDefinitions", [])]
    missing = f"{arn} has no container {container}; it has {', '.join(map(str, containers))}: check the settings"
    if container not in containers:
        return Check.failed_if(missing, name, arn)
    return Check.failed_if(
        _why_another_image(found, rollback.plan.running.images.get(container, ""), container, world), name, arn
    )


def _why_another_image(found: Mapping[str, Any], running: str, container: str, world: World) -> str | None:
    """A task takes what a tag means as it starts, and a tag may have moved since the release was deployed."""
    image = next(str(one["image"]) for one in found["containerDefinitions"] if one["name"] == container)
    if is_pinned(image):
        return None
    now = world.images.digest_of(image)
    if now is None or now == running:
        return None
    return f"{image} means {now} by now, and {running} runs: a task would run another image; restore instead"


def _make_next_move(
    rollback: Rollback,
    progress: DatabaseProgress,
    commands: tuple[Command, ...],
    settings: DatabaseSettings,
    restoring: RestoreContext,
    world: World,
) -> Rollback:
    now, poll = world.clock.now(), world.settings.policy.poll_seconds
    seen = take_snapshot(rollback, progress, restoring, now)
    progress = apply_observation(rollback, progress, commands, world)
    task_timeout = timedelta(minutes=settings.task_timeout_minutes)
    against = find_down_migration_objection(seen, progress, commands, now, task_timeout)
    if against is not None:
        progress = progress.mark_failed(against, now)
    if progress.why_not is not None and _may_still_begin(progress, restoring, world):
        return rollback.evolve(database=progress, wait_seconds=poll)
    if progress.why_not is not None and all(run.never_started for run in progress.ran):
        progress = progress.evolve(restore_asked_at=None, backup_id=None)  # nothing of it came to run
    expires_at = _backup_expiry(progress, restoring)
    move = next_down_migration_move(seen, progress, commands, expires_at)
    progress = progress.record_move(move, now)
    if move in _CHANGES:
        return make_change(rollback, progress, move, seen, commands, expires_at, restoring, world)
    match move:
        case DownMigrationMove.CHECK_SCHEMA:
            return rollback.evolve(database=_check_live_branch(progress, restoring, now), wait_seconds=0)
        case DownMigrationMove.DONE:
            done = progress.evolve(lost=_NOT_COMPARED).ended(DatabaseOutcome.RESTORED, now)
            return rollback.evolve(database=done, wait_seconds=0)
        case DownMigrationMove.END:
            return rollback.evolve(database=progress.ended(outcome_after_failure(progress), now), wait_seconds=0)
        case _:
            return rollback.evolve(database=progress, wait_seconds=poll)


_NOT_COMPARED = DataLossReport(
    unavailable="rows are not compared where migrations step down in place; the backup has the state before"
)


def take_snapshot(
    rollback: Rollback, progress: DatabaseProgress, restoring: RestoreContext, now: datetime
) -> DownMigrationSnapshot:
    branch = restoring.databases.branch(progress.before.id or restoring.target.branch_id)
    backup = restoring.databases.branch_named(backup_name(rollback.id))
    return DownMigrationSnapshot(
        branch=branch, backup=backup, operations=operation_status(progress, (branch, backup), restoring, now)
    )


def apply_observation(
    rollback: Rollback,
    progress: DatabaseProgress,
    commands: tuple[Command, ...],
    world: World,
) -> DatabaseProgress:
    """With the task that an announcement came to, though its answer was lost; and with what came of the one we know."""
    service = world.settings.service(rollback.service_name)
    begun_by_us = next((c for c in commands if _is_announced(progress, c)), None)
    if begun_by_us is not None and progress.intent is not None:
        known = {run.arn for run in progress.ran}
        for task in world.tasks.started_by(service, rollback.id):
            if task.command == begun_by_us.words and task.arn not in known:
                run = CommandRun(name=begun_by_us.name, arn=task.arn, asked_at=progress.intent.at)
                progress = progress.evolve(ran=(*progress.ran, run), intent=None)
                break
    running = find_running_command(progress)
    if running is None:
        return progress
    task_now = world.tasks.describe(service, running.arn)
    if task_now is not None and not task_now.is_stopped:
        return progress
    ended = running.evolve(ended_at=world.clock.now(), reason="ECS does not know the task any more", started=True)
    if task_now is not None:
        lines = _last_lines(rollback, running, _LOG_LINES if task_now.exit_code else _FEW_LINES, world)
        told = {"started": task_now.started, "exit_code": task_now.exit_code, "reason": task_now.reason, "logs": lines}
        ended = ended.evolve(**told)
    return progress.evolve(ran=(*progress.ran[:-1], ended), intent=None)


def _is_announced(progress: DatabaseProgress, command: Command) -> bool:
    return progress.intent is not None and progress.intent.action == command_intent(command)


def _last_lines(rollback: Rollback, run: CommandRun, count: int, world: World) -> tuple[str, ...]:
    """For the report; that they can't be read changes nothing about how it ended."""
    try:
        lines = world.tasks.logs(world.settings.service(rollback.service_name), run.arn, count)
    except ExternalServiceError as failure:
        lines = (f"its log can't be read: {failure}",)
    return tuple(without_passwords(line)[:_LONGEST_LINE] for line in lines[-count:])


def _may_still_begin(progress: DatabaseProgress, restoring: RestoreContext, world: World) -> bool:
    """A backup or a task that was asked for, and of which nothing is seen yet."""
    forward = progress.intent is not None and progress.intent.action not in (
        DownMigrationMove.STOP_TASK,
        DownMigrationMove.DELETE_BACKUP,
    )
    return find_running_command(progress) is None and forward and may_still_arrive(progress, restoring, world)


def _backup_expiry(progress: DatabaseProgress, restoring: RestoreContext) -> datetime | None:
    days, since = restoring.target.backup_days, progress.accepted_at
    return None if days is None or since is None else since.replace(microsecond=0) + timedelta(days=days)


def _check_live_branch(progress: DatabaseProgress, restoring: RestoreContext, now: datetime) -> DatabaseProgress:
    """The live branch itself: its journal and tables are what the target needs."""
    address = restoring.address(progress.before.id or restoring.target.branch_id)
    schema, migrations = restoring.sql.live_schema(address), restoring.sql.migrations(address)
    progress = progress.evolve(preview_checks=restoring.judge_preview(schema, migrations))
    return progress if progress.failed_checks() else progress.evolve(verified_at=now)
