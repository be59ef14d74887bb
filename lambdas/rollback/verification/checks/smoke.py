"""Run the smoke command of a service once in each verification, as a task of the running definition.

The task is announced in the document first, and started in the next round. It is found by its `startedBy`, and a retry
has the same client token, so a lost answer starts no second task.
"""

from datetime import datetime

from rollback.check import Check
from rollback.domain.database.progress import CommandRun
from rollback.domain.settings.environment import ServiceSettings
from rollback.errors import CallRefused, ExternalServiceError
from rollback.ports.holders import HasTasks
from rollback.resources.aws.ecs_service import ServiceView
from rollback.service.one_off_task import begin_task, follow_task, why_failed
from rollback.verification.checks.evidence_keys import LASTING, NOT_LOOKED_AT
from rollback.verification.checks.ports import SmokePorts

CHECK_NAME = "smoke-command-succeeds"


def run_smoke(
    service: ServiceSettings,
    run: CommandRun | None,
    view: ServiceView,
    owner: str,
    purpose: str,
    ports: SmokePorts,
) -> CommandRun | None:
    """Start the announced task, or follow it. None: ECS gave no clear answer; call again.

    Args:
        service: the service, whose settings have the command.
        run: the started task; None: not started, as far as the record says.
        view: ECS's description of the service.
        owner: id of the rollback, or of the command's run.
        purpose: label that is unique to the verification within the owner.
        ports: access to ECS.

    Raises:
        ExternalServiceError: ECS could not be asked; call again.
    """
    if run is not None and run.ended_at is not None:
        return run
    if run is not None:
        return follow_task(service, run, service.smoke_timeout_seconds / 60, ports)
    try:
        return begin_task(service, view.primary.definition_arn, service.smoke_command, owner, purpose, ports)
    except CallRefused as refused:
        now = ports.clock.now()
        return CommandRun(name=purpose, arn="", asked_at=now, ended_at=now, reason=str(refused))


def judge_smoke(service: ServiceSettings, run: CommandRun | None) -> Check:
    """Judge the task: exit code 0 passes. A task that ECS could not start says nothing about the release."""
    command = " ".join(service.smoke_command)[:100]
    if run is None:
        return Check.warned(CHECK_NAME, f"{command}: its task starts once all other checks pass")
    evidence = {"task": run.arn, "exit_code": run.exit_code, "log": list(run.logs)}
    if run.ended_at is None:
        return Check.warned(CHECK_NAME, f"{command} runs since {run.asked_at:%H:%M:%S} UTC", evidence=evidence)
    reason = why_failed(run)
    if reason is None:
        seconds = (run.ended_at - run.asked_at).total_seconds()
        return Check.passed(CHECK_NAME, f"{command} ended with exit code 0 in {seconds:.0f} s", evidence=evidence)
    if run.never_started:
        not_looked_at = {NOT_LOOKED_AT: CHECK_NAME}
        return Check.warned(CHECK_NAME, f"not looked at: {command}: {reason}", evidence={**evidence, **not_looked_at})
    return Check.failed(CHECK_NAME, f"{command}: {reason}", evidence={**evidence, LASTING: CHECK_NAME})


def skip_smoke(reason: str) -> Check:
    """Return the check of a smoke command that does not run."""
    return Check.warned(CHECK_NAME, f"not looked at: {reason}", evidence={NOT_LOOKED_AT: CHECK_NAME})


def stop_smoke(
    service: ServiceSettings, run: CommandRun | None, reason: str, now: datetime, ports: HasTasks
) -> CommandRun | None:
    """Stop a task that still runs, because the verification has ended without it."""
    if run is None or run.ended_at is not None:
        return run
    try:
        ports.tasks.stop(service, run.arn, reason)
    except ExternalServiceError as failure:
        reason = f"{reason}, and could not be stopped: {failure}"
    return run.evolve(stop_asked_at=now, ended_at=now, started=True, reason=reason)
