"""A configured command of a service, run once as a task of what the service runs; called again until it has ended.

The announcement is the caller's intent, in the ledger before the task is asked for. The task is found by who started
it, and the client token of a retry is the same: a lost answer starts no second task.
"""

from datetime import datetime, timedelta

from rollback.canonical_json import sha256_of
from rollback.domain.database.progress import CommandRun
from rollback.domain.settings.environment import ServiceSettings
from rollback.errors import CallRefused, ExternalServiceError, Throttled
from rollback.ports.world import World
from rollback.resources.aws.ecs_task import without_passwords
from rollback.resources.database.errors import OutcomeUnknown

_LOG_LINES, _FEW_LINES, _LONGEST_LINE = 10, 3, 300


def started_by_label(rollback_id: str, service_name: str, purpose: str) -> str:
    """Name in `startedBy` of one task: a cluster may have several services whose commands are the same."""
    return f"{rollback_id}/{purpose}-{sha256_of({'service': service_name})[:12]}"[:128]


def begin_task(
    service: ServiceSettings, definition_arn: str, words: tuple[str, ...], rollback_id: str, purpose: str, world: World
) -> CommandRun | None:
    """The task that an announcement came to: found, or asked for. None: not known yet, call again.

    Raises:
        CallRefused: no task was started, and none will be.
        ExternalServiceError: ECS could not be asked.
    """
    now, name = world.clock.now(), started_by_label(rollback_id, service.name, purpose)
    found = next(iter(world.tasks.started_by(service, name)), None)
    if found is not None:
        return CommandRun(name=purpose, arn=found.arn, asked_at=now)
    token = sha256_of({"rollback": rollback_id, "service": service.name, "runs": purpose})
    try:
        arn = world.tasks.run(service, definition_arn, words, name, token)
    except (OutcomeUnknown, Throttled):
        return None
    return CommandRun(name=purpose, arn=arn, asked_at=now)


def follow_task(service: ServiceSettings, run: CommandRun, limit_minutes: float, world: World) -> CommandRun:
    """The run as it stands; one that takes too long is stopped, and has failed."""
    now = world.clock.now()
    task = world.tasks.describe(service, run.arn)
    if task is None:
        return run.evolve(ended_at=now, reason="ECS does not know the task any more", started=True)
    if task.is_stopped:
        lines = _last_lines(service, run, _LOG_LINES if task.exit_code else _FEW_LINES, world)
        told = {"started": task.started, "exit_code": task.exit_code, "reason": task.reason, "logs": lines}
        return run.evolve(ended_at=now, **told)
    if now - run.asked_at <= timedelta(minutes=limit_minutes):
        return run
    return _stop_overdue_task(service, run, f"did not end in {limit_minutes:g} minutes", now, world)


def _stop_overdue_task(service: ServiceSettings, run: CommandRun, why: str, now: datetime, world: World) -> CommandRun:
    """Stopped as far as ECS lets us: what it does from now on proves nothing."""
    try:
        world.tasks.stop(service, run.arn, why)
    except ExternalServiceError as failure:
        why = f"{why}, and could not be stopped: {failure}"
    return run.evolve(ended_at=now, stop_asked_at=now, started=True, reason=why)


def why_failed(run: CommandRun) -> str | None:
    """None: it ended with exit code 0."""
    if run.exit_code == 0 and run.stop_asked_at is None:
        return None
    said = f": {run.logs[-1]}" if run.logs else ""
    if run.never_started:
        return f"the task of {run.name} could not start: {run.reason or 'ECS gave no reason'}"
    if run.exit_code is None or run.stop_asked_at is not None:
        return f"{run.name} {run.reason or 'ended without an exit code'}{said}"
    return f"{run.name} ended with exit code {run.exit_code}{said}"


def _last_lines(service: ServiceSettings, run: CommandRun, count: int, world: World) -> tuple[str, ...]:
    """For the report; that they can't be read changes nothing about how it ended."""
    try:
        lines = world.tasks.logs(service, run.arn, count)
    except (ExternalServiceError, CallRefused) as failure:
        lines = (f"its log can't be read: {failure}",)
    return tuple(without_passwords(line)[:_LONGEST_LINE] for line in lines[-count:])
