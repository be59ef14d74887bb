"""Run a configured command of a service once, as a task of the service's own definition.

The caller announces the task in the ledger first, and calls again until the task has ended. A lost answer starts no
second task: the task is found by its `startedBy`, and a retry has the same client token.
"""

from datetime import datetime, timedelta

from rollback.canonical_json import sha256_of
from rollback.domain.database.progress import CommandRun
from rollback.domain.settings.environment import ServiceSettings
from rollback.errors import CallRefused, ExternalServiceError, Throttled
from rollback.ports.holders import HasTasks
from rollback.resources.aws.ecs_task import without_passwords
from rollback.resources.database.errors import OutcomeUnknown
from rollback.service.ports import TaskPorts

_LOG_LINES, _FEW_LINES, _MAX_LINE = 10, 3, 300


def started_by_label(rollback_id: str, service_name: str, purpose: str) -> str:
    """Build the task's `startedBy`: several services of a cluster may have the same command."""
    return f"{rollback_id}/{purpose}-{sha256_of({'service': service_name})[:12]}"[:128]


def begin_task(
    service: ServiceSettings,
    definition_arn: str,
    words: tuple[str, ...],
    rollback_id: str,
    purpose: str,
    ports: TaskPorts,
) -> CommandRun | None:
    """Find the announced task, or request it. None: ECS gave no clear answer; call again.

    Raises:
        CallRefused: no task was started, and none will be.
        ExternalServiceError: ECS could not be asked.
    """
    now, name = ports.clock.now(), started_by_label(rollback_id, service.name, purpose)
    task = next(iter(ports.tasks.started_by(service, name)), None)
    if task is not None:
        return CommandRun(name=purpose, arn=task.arn, asked_at=now)
    token = sha256_of({"rollback": rollback_id, "service": service.name, "runs": purpose})
    try:
        arn = ports.tasks.run(service, definition_arn, words, name, token)
    except (OutcomeUnknown, Throttled):
        return None
    return CommandRun(name=purpose, arn=arn, asked_at=now)


def follow_task(service: ServiceSettings, run: CommandRun, limit_minutes: float, ports: TaskPorts) -> CommandRun:
    """Update the run from ECS. A task that takes too long is stopped, and has failed."""
    now = ports.clock.now()
    task = ports.tasks.describe(service, run.arn)
    if task is None:
        return run.evolve(ended_at=now, reason="ECS does not know the task any more", started=True)
    if task.is_stopped:
        lines = _last_lines(service, run, _LOG_LINES if task.exit_code else _FEW_LINES, ports)
        return run.evolve(ended_at=now, started=task.started, exit_code=task.exit_code, reason=task.reason, logs=lines)
    if now - run.asked_at <= timedelta(minutes=limit_minutes):
        return run
    return _stop_overdue_task(service, run, f"did not end in {limit_minutes:g} minutes", now, ports)


def _stop_overdue_task(
    service: ServiceSettings, run: CommandRun, reason: str, now: datetime, ports: HasTasks
) -> CommandRun:
    """Ask ECS to stop the task, and end the run as failed, because later effects of the task prove nothing."""
    try:
        ports.tasks.stop(service, run.arn, reason)
    except ExternalServiceError as failure:
        reason = f"{reason}, and could not be stopped: {failure}"
    return run.evolve(ended_at=now, stop_asked_at=now, started=True, reason=reason)


def why_failed(run: CommandRun) -> str | None:
    """Return the reason why the run failed; None: the task ended with exit code 0."""
    if run.exit_code == 0 and run.stop_asked_at is None:
        return None
    last_line = f": {run.logs[-1]}" if run.logs else ""
    if run.never_started:
        return f"the task of {run.name} could not start: {run.reason or 'ECS gave no reason'}"
    if run.exit_code is None or run.stop_asked_at is not None:
        return f"{run.name} {run.reason or 'ended without an exit code'}{last_line}"
    return f"{run.name} ended with exit code {run.exit_code}{last_line}"


def _last_lines(service: ServiceSettings, run: CommandRun, count: int, ports: HasTasks) -> tuple[str, ...]:
    """Read the last log lines for the report. A log that can't be read does not change the result of the run."""
    try:
        lines = ports.tasks.logs(service, run.arn, count)
    except (ExternalServiceError, CallRefused) as failure:
        lines = (f"its log can't be read: {failure}",)
    return tuple(without_passwords(line)[:_MAX_LINE] for line in lines[-count:])
