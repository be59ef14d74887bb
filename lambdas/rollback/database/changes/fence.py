"""Fence (rule 8): no process can write to the branch any more, and only then is the end of its log read.

The obligations of all writers are announced first, at once: an open obligation is the intent of the change that it
restores later. `rollback.conclusion.obligations` restores them, as every obligation.
"""

from datetime import timedelta
from functools import partial
from typing import TypeVar

from rollback.database.changes.fence_sessions import list_connected_writers, wait_for_sessions_to_end
from rollback.database.changes.ports import FencePorts, WaitPorts
from rollback.database.preflight.branch_context import BranchContext
from rollback.domain.database.progress import DatabaseProgress, RestoreProgress
from rollback.domain.obligation import Obligation, ObligationKind
from rollback.domain.rollback import Rollback
from rollback.domain.settings.environment import ServiceSettings
from rollback.intents.announce import send_under_lease
from rollback.service.next_action import ServiceMove, next_restart_move
from rollback.service.ports import DrainPorts
from rollback.service.reconciler import read_drain_status
from rollback.service.zero_task_periods import record_services_at_zero

ProgressT = TypeVar("ProgressT", bound=DatabaseProgress)


def fence(rollback: Rollback, progress: DatabaseProgress, context: BranchContext, ports: FencePorts) -> Rollback:
    """Observe the writers and the branch once, and make at most one change. The fence stands once its head is set.

    Raises:
        LeaseLost: another rollback holds the lease, or the lease ends before the function does.
        RetryLater: the database is waking up.
    """
    now, branch_settings, policy = ports.clock.now(), context.settings, ports.settings.policy
    unrecorded = rollback.keep_unrecorded(_list_obligations(rollback, branch_settings.writers, ports))
    if unrecorded:
        obligations = (*rollback.obligations, *unrecorded)
        return rollback.evolve(database=progress, obligations=obligations, wait_seconds=0)
    moves = {service.name: _next_fence_move(service, ports) for service in branch_settings.writers}
    for service in branch_settings.writers:
        move = moves[service.name]
        if move in (ServiceMove.SUSPEND_SCALING, ServiceMove.SCALE_TO_ZERO):
            stop = partial(_stop_service, service, move, ports)
            send_under_lease(rollback, stop, ports, policy.database_timeout_seconds)
            return rollback.evolve(database=progress.evolve_fence(stopped_at=None), wait_seconds=0)
    running_services = [name for name, move in moves.items() if move is ServiceMove.WAIT_FOR_STOPPED]
    progress = record_services_at_zero(
        progress, [name for name in moves if name not in running_services], running_services, now
    )
    if running_services:
        return _wait_for_tasks_to_stop(rollback, progress, running_services, context, ports)
    if progress.fence.stopped_at is None:  # saved before SQL is asked, which may not answer
        return rollback.evolve(database=progress.evolve_fence(stopped_at=now), wait_seconds=0)
    return wait_for_sessions_to_end(rollback, progress, progress.fence.stopped_at, context, ports)


def _wait_for_tasks_to_stop(
    rollback: Rollback,
    progress: DatabaseProgress,
    service_names: list[str],
    context: BranchContext,
    ports: WaitPorts,
) -> Rollback:
    now, limit = ports.clock.now(), context.settings.fence_timeout_minutes
    previewed_at = progress.previewed_at if isinstance(progress, RestoreProgress) else None
    progress = progress.evolve_fence(stopped_at=None)
    if now - (previewed_at or progress.started_at) > timedelta(minutes=limit):
        progress = progress.mark_failed(f"tasks of {', '.join(service_names)} did not stop in {limit:g} minutes", now)
    return rollback.evolve(database=progress, wait_seconds=ports.settings.policy.poll_seconds)


def recheck_fence(
    rollback: Rollback,
    progress: ProgressT,
    context: BranchContext,
    ports: DrainPorts,
    *,
    sessions_too: bool = True,
) -> ProgressT | None:
    """Check the fence immediately before the data is changed.

    Returns:
        The progress with a fence that must be made again; None: the fence holds. If tasks were started in between,
        they may have gone through a pooler, and the compute may be restarted once more.
    """
    if not is_fence_complete(context.settings.writers, ports):
        return progress.reopen_fence(restarted_at=None, restart_ids=(), restart_finished_at=None, restart_refusal=None)
    if sessions_too and list_connected_writers(rollback, progress, context)[0]:
        return progress.reopen_fence()
    return None


def is_fence_complete(writers: tuple[ServiceSettings, ...], ports: DrainPorts) -> bool:
    """Whether every writer is still at zero tasks, and nothing of AWS could start one."""
    return all(_next_fence_move(service, ports) is ServiceMove.START_FROM_ZERO for service in writers)


def _next_fence_move(service: ServiceSettings, ports: DrainPorts) -> ServiceMove:
    return next_restart_move(read_drain_status(service, ports.services.describe(service), ports))


def _stop_service(service: ServiceSettings, move: ServiceMove, ports: DrainPorts) -> None:
    if move is ServiceMove.SCALE_TO_ZERO:
        ports.services.update(service, desired_count=0)
        return
    scalable = ports.scaling.describe(service)
    if scalable is not None:
        ports.scaling.put(service, scalable.all_suspended())


def _list_obligations(rollback: Rollback, writers: tuple[ServiceSettings, ...], ports: DrainPorts) -> list[Obligation]:
    """List what stopping the writers changes, in the reverse of the order in which Conclude restores it.

    The first writer comes back before the others, and its tasks before its scaling (rule 2: tasks before scaling).
    """
    obligations: list[Obligation] = []
    for service in reversed(writers):
        other_service_name = None if service.name == rollback.service_name else service.name
        scalable = ports.scaling.describe(service)
        if scalable is not None and scalable.is_active:
            obligations.append(
                Obligation(kind=ObligationKind.SCALING, before=scalable.model_dump(), service=other_service_name)
            )
        desired_count = ports.services.describe(service).desired_count
        obligations.append(
            Obligation(kind=ObligationKind.FENCE, before={"desired_count": desired_count}, service=other_service_name)
        )
    return obligations
