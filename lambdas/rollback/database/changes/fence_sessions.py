"""The second half of the fence: every task has stopped, and nobody else may be connected to the branch.

A pooler keeps its sessions after its clients have gone: Neon's runs inside the compute, with pgbouncer's default of
600 s for idle server connections, under the name of the client, or as `pgbouncer`
(https://github.com/neondatabase/neon/blob/main/compute/etc/pgbouncer.ini; https://www.pgbouncer.org/config.html,
server_idle_timeout). So the compute is restarted once, which ends all sessions; a program that connects again after
that is a writer that the settings do not name.
"""

from datetime import datetime, timedelta

from rollback.database.changes.send import Sent, announced, is_announced, send
from rollback.database.preflight.context import Restoring
from rollback.domain.database.progress import DatabaseProgress
from rollback.domain.rollback import Rollback
from rollback.errors import CallRefused
from rollback.ports.world import World
from rollback.resources.database.errors import NotThere
from rollback.resources.database.postgres import ClientSession

RESTART = "restart_endpoint"
_ENDS_SESSIONS = "suspend_compute"  # the operation that does, whoever began it


def wait_until_alone(rollback: Rollback, progress: DatabaseProgress, restoring: Restoring, world: World) -> Rollback:
    """One look, at most one change. The fence stands once `progress.head` is set.

    Raises:
        LeaseLost: the lease is another's, or ends before the function does.
        ComeBackLater: the database is waking up.
    """
    now, poll = world.clock.now(), world.settings.policy.poll_seconds
    if is_announced(progress, RESTART):
        seen = _seen_to_be_made(progress, restoring)
        return rollback.but(database=seen, wait_seconds=0) if seen else _restart(rollback, progress, restoring, world)
    if progress.restarted_at is not None and progress.restart_over_at is None:
        if not _is_over(progress, restoring, now):
            return rollback.but(database=progress, wait_seconds=poll)
        progress = progress.but(restart_over_at=now)
    writers, progress = writers_connected(rollback, progress, restoring)
    if not writers:
        head = restoring.sql.head(restoring.address(restoring.target.branch_id))
        return rollback.but(database=progress.but(head=head, refused_since=None), wait_seconds=0)
    if progress.restarted_at is None and progress.restart_refused is None:
        assert progress.stopped_at is not None  # noqa: S101 - the fence set it
        if now - progress.stopped_at < timedelta(seconds=restoring.target.restart_timeout_seconds):
            return announced(rollback, progress, RESTART, world)
        progress = progress.but(restart_refused="Neon was busy with other changes of the project")
    late = tuple(session for session in writers if now >= _deadline(session, progress, restoring))
    if late:
        progress = progress.given_up(_unknown_writers(late, progress, restoring), now)
    return rollback.but(database=progress, wait_seconds=poll)


def writers_connected(
    rollback: Rollback, progress: DatabaseProgress, restoring: Restoring
) -> tuple[tuple[ClientSession, ...], DatabaseProgress]:
    """Who may write now. Workers of the database itself are let pass by a person's force only, and reported."""
    sessions = restoring.sql.client_sessions(restoring.address(restoring.target.branch_id))
    if not rollback.request.force:
        return sessions, progress
    for worker in sessions:
        if not worker.is_client:
            progress = progress.noted(f"may have written behind the fence, by force: {worker.kind} as {worker.role}")
    return tuple(session for session in sessions if session.is_client), progress


def _restart(rollback: Rollback, progress: DatabaseProgress, restoring: Restoring, world: World) -> Rollback:
    """What Neon refuses leaves the fence as it is: sessions are waited for instead."""
    now = world.clock.now()

    def call() -> Sent:
        try:
            endpoints = restoring.databases.endpoints(restoring.target.branch_id)
            writing = [endpoint for endpoint in endpoints if endpoint.type == "read_write"]
            if not writing:
                raise NotThere(f"branch {restoring.target.branch_id} has no compute that writes")
            begun = restoring.databases.restart_endpoint(writing[0].id).operations
        except CallRefused as refused:
            return (), {"restart_refused": str(refused)}
        return begun, {"restarted_at": now, "restart_ids": tuple(operation.id for operation in begun)}

    return send(rollback, progress, call, restoring, world)


def _seen_to_be_made(progress: DatabaseProgress, restoring: Restoring) -> DatabaseProgress | None:
    """With a restart whose answer was lost: the compute has stopped, or is about to, since the last task did."""
    assert progress.stopped_at is not None  # noqa: S101 - the fence set it
    assert progress.intent is not None  # noqa: S101 - it is announced
    listed = restoring.databases.operations_since(progress.stopped_at)
    begun = tuple(o for o in listed if o.branch_id == restoring.target.branch_id)
    if not any(operation.action == _ENDS_SESSIONS for operation in begun):
        return None
    ids = tuple(operation.id for operation in begun)
    known = (*progress.operation_ids, *ids)
    return progress.but(intent=None, restarted_at=progress.intent.at, restart_ids=ids, operation_ids=known)


def _is_over(progress: DatabaseProgress, restoring: Restoring, now: datetime) -> bool:
    """Whether the restart's operations are; what lasts too long, or fails, is not waited for."""
    assert progress.restarted_at is not None  # noqa: S101 - the caller looked
    if now - progress.restarted_at >= timedelta(seconds=restoring.target.restart_timeout_seconds):
        return True
    return all(restoring.databases.operation(identity).is_over(now) for identity in progress.restart_ids)


def _deadline(session: ClientSession, progress: DatabaseProgress, restoring: Restoring) -> datetime:
    """Until when a session may still end by itself."""
    assert progress.stopped_at is not None  # noqa: S101 - the fence set it
    target = restoring.target
    restarted, over, connected = progress.restarted_at, progress.restart_over_at, session.connected_at
    if restarted is not None and over is not None and connected is not None and connected >= restarted:
        return max(over, progress.stopped_at) + timedelta(seconds=target.reconnect_grace_seconds)
    return progress.stopped_at + timedelta(seconds=target.session_grace_seconds)


def _unknown_writers(foreign: tuple[ClientSession, ...], progress: DatabaseProgress, restoring: Restoring) -> str:
    who = ", ".join(sorted({session.in_words for session in foreign}))
    known = ", ".join(service.name for service in restoring.target.writers)
    if progress.restarted_at is not None:
        how = "the compute was restarted, and a program connected again"
    else:
        how = f"a program is still connected (the compute was not restarted: {progress.restart_refused})"
    return (
        f"all tasks of {known} have stopped, {how}: {who}; add the service to the writers in the settings, or end the "
        "connection, and start again; the database was not touched"
    )
