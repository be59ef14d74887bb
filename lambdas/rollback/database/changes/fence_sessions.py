"""The second half of the fence: every task has stopped, and no other program may be connected to the branch.

A pooler keeps its sessions after its clients have gone. Neon's pooler runs inside the compute, with pgbouncer's default
of 600 s for idle server connections. Its sessions have the client's name, or `pgbouncer`. Sources:
https://github.com/neondatabase/neon/blob/main/compute/etc/pgbouncer.ini and `server_idle_timeout` in
https://www.pgbouncer.org/config.html.

So the compute is restarted once, which ends all sessions. A program that connects again after that is a writer that the
settings do not name.
"""

from datetime import datetime, timedelta

from rollback.database.changes.send import DatabaseChange, SendResult, make_change
from rollback.database.preflight.branch_context import BranchContext
from rollback.domain.database.progress import DatabaseProgress, FenceProgress
from rollback.domain.rollback import Rollback
from rollback.errors import CallRefused
from rollback.leases.ports import LeasePorts
from rollback.ports.holders import HasClock
from rollback.resources.database.errors import NotFound
from rollback.resources.database.postgres import ClientSession

RESTART_ACTION = "restart_endpoint"
_ENDS_SESSIONS = "suspend_compute"  # Neon's operation that ends all sessions


def wait_for_sessions_to_end(
    rollback: Rollback, progress: DatabaseProgress, stopped_at: datetime, context: BranchContext, ports: LeasePorts
) -> Rollback:
    """Observe the sessions once, and make at most one change. The fence stands once its head is set.

    Args:
        rollback: the document.
        progress: the progress of the strategy.
        stopped_at: when all tasks of all writers were STOPPED.
        context: the branch, Neon and SQL.
        ports: the other ports.

    Raises:
        LeaseLost: another rollback holds the lease, or the lease ends before the function does.
        RetryLater: the database is waking up.
    """
    now, poll = ports.clock.now(), ports.settings.policy.poll_seconds
    if progress.is_announced(RESTART_ACTION):
        adopted_progress = _adopt_restart(progress, stopped_at, context)
        if adopted_progress is not None:
            return rollback.evolve(database=adopted_progress, wait_seconds=0)
        return make_change(rollback, progress, _restart(progress, context, ports), context, ports)
    restarted_at = progress.fence.restarted_at
    if restarted_at is not None and progress.fence.restart_finished_at is None:
        if not _is_restart_over(progress.fence.restart_ids, restarted_at, context, now):
            return rollback.evolve(database=progress, wait_seconds=poll)
        progress = progress.evolve_fence(restart_finished_at=now)
    writers, progress = list_connected_writers(rollback, progress, context)
    if not writers:
        head = context.sql.head(context.address(context.settings.branch_id))
        return rollback.evolve(database=progress.evolve_fence(head=head).evolve(refused_since=None), wait_seconds=0)
    if progress.fence.restarted_at is None and progress.fence.restart_refusal is None:
        if now - stopped_at < timedelta(seconds=context.settings.restart_timeout_seconds):
            return make_change(rollback, progress, _restart(progress, context, ports), context, ports)
        progress = progress.evolve_fence(restart_refusal="Neon was busy with other changes of the project")
    late_sessions = tuple(
        session for session in writers if now >= _deadline(session, progress.fence, stopped_at, context)
    )
    if late_sessions:
        progress = progress.mark_failed(_describe_unknown_writers(late_sessions, progress, context), now)
    return rollback.evolve(database=progress, wait_seconds=poll)


def list_connected_writers(
    rollback: Rollback, progress: DatabaseProgress, context: BranchContext
) -> tuple[tuple[ClientSession, ...], DatabaseProgress]:
    """List the sessions that may write now. An operator's force lets workers of Postgres itself pass, with a note."""
    sessions = context.sql.client_sessions(context.address(context.settings.branch_id))
    if not rollback.request.force:
        return sessions, progress
    for worker in sessions:
        if not worker.is_client:
            progress = progress.add_note(
                f"{worker.kind} as {worker.role} may have written behind the fence, which --force allowed"
            )
    return tuple(session for session in sessions if session.is_client), progress


def _restart(progress: DatabaseProgress, context: BranchContext, ports: HasClock) -> DatabaseChange[DatabaseProgress]:
    """Describe the compute's restart. If Neon refuses it, the fence waits for sessions to end instead."""

    def restart() -> SendResult:
        endpoints = context.neon.endpoints(context.settings.branch_id)
        writing = [endpoint for endpoint in endpoints if endpoint.type == "read_write"]
        if not writing:
            raise NotFound(f"branch {context.settings.branch_id} has no compute that writes")
        sent_at = ports.clock.now()
        operations = context.neon.restart_endpoint(writing[0].id).operations
        operation_ids = tuple(operation.id for operation in operations)
        return operations, {"fence": progress.fence.evolve(restarted_at=sent_at, restart_ids=operation_ids)}

    def go_on(current_progress: DatabaseProgress, refused: CallRefused) -> DatabaseProgress:
        return current_progress.evolve_fence(restart_refusal=str(refused))

    return DatabaseChange(RESTART_ACTION, restart, tolerate_refusal=go_on)


def _adopt_restart(progress: DatabaseProgress, stopped_at: datetime, context: BranchContext) -> DatabaseProgress | None:
    """Adopt a restart whose answer was lost: Neon lists that the compute stopped, or will, since the last task did."""
    operations = context.neon.operations_since(stopped_at)
    branch_operations = tuple(o for o in operations if o.branch_id == context.settings.branch_id)
    if progress.intent is None or not any(operation.action == _ENDS_SESSIONS for operation in branch_operations):
        return None
    restart_ids = tuple(operation.id for operation in branch_operations)
    operation_ids = (*progress.operation_ids, *restart_ids)
    restarted_progress = progress.evolve_fence(restarted_at=progress.intent.last_sent_at, restart_ids=restart_ids)
    return restarted_progress.evolve(intent=None, operation_ids=operation_ids)


def _is_restart_over(
    operation_ids: tuple[str, ...], restarted_at: datetime, context: BranchContext, now: datetime
) -> bool:
    """Whether the restart's operations have ended. One that lasts too long, or fails, is not waited for."""
    if now - restarted_at >= timedelta(seconds=context.settings.restart_timeout_seconds):
        return True
    return all(context.neon.operation(identity).is_over(now) for identity in operation_ids)


def _deadline(session: ClientSession, fence: FenceProgress, stopped_at: datetime, context: BranchContext) -> datetime:
    """Return until when a session may still end by itself."""
    branch_settings = context.settings
    restarted_at, restart_finished_at, connected_at = (
        fence.restarted_at,
        fence.restart_finished_at,
        session.connected_at,
    )
    if (
        restarted_at is not None
        and restart_finished_at is not None
        and connected_at is not None
        and connected_at >= restarted_at
    ):
        return max(restart_finished_at, stopped_at) + timedelta(seconds=branch_settings.reconnect_grace_seconds)
    return stopped_at + timedelta(seconds=branch_settings.session_grace_seconds)


def _describe_unknown_writers(
    sessions: tuple[ClientSession, ...], progress: DatabaseProgress, context: BranchContext
) -> str:
    session_texts = ", ".join(sorted({session.in_words for session in sessions}))
    writer_names = ", ".join(service.name for service in context.settings.writers)
    if progress.fence.restarted_at is not None:
        circumstances = "the compute was restarted, and a program connected again"
    else:
        circumstances = (
            f"a program is still connected (the compute was not restarted: {progress.fence.restart_refusal})"
        )
    return (
        f"all tasks of {writer_names} have stopped, {circumstances}: {session_texts}; add the service to the writers "
        "in the settings, or end the connection, and start again; the database was not changed"
    )
