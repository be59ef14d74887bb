"""Prove a service's new connections by SQL and by its own command, which only the database function can run."""

from datetime import datetime

from rollback.database.reconnection.ports import ProofPorts
from rollback.database.reconnection.turn import Turn, database_settings, finish_service, run_task, save_connection
from rollback.domain.database.progress import CommandRun
from rollback.domain.rollback import Rollback
from rollback.errors import ExternalServiceError
from rollback.ports.holders import HasSettings
from rollback.resources.database.errors import RetryLater
from rollback.service.one_off_task import why_failed

PROVE_ACTION = "connection_command"  # part of `startedBy`, which allows no full stop


def prove_connection(turn: Turn, reconnected_at: datetime, world: ProofPorts) -> Rollback:
    """Look for the proof once. A missing proof is no failure; Verify asks the endpoint.

    Args:
        turn: the service's turn.
        reconnected_at: its connection's `reconnected_at`.
        world: ports and settings.
    """
    connection = turn.connection
    now, proof_settings = world.clock.now(), world.settings.service(connection.service).connection
    if proof_settings.command and (connection.proof is None or connection.proof.ended_at is None):
        view = world.services.describe(world.settings.service(connection.service))
        proof = run_task(turn, connection.proof, proof_settings.command, PROVE_ACTION, view, world)
        if not isinstance(proof, CommandRun):
            return proof
        pause = world.settings.policy.poll_seconds if proof.ended_at is None else 0
        return save_connection(turn, connection.evolve(proof=proof, intent=None), pause)
    why = why_failed(connection.proof) if connection.proof is not None else None
    if why is not None:
        return finish_service(turn, connection.failed(why, now), world)
    if proof_settings.application_name is None or connection.proof is not None:
        return finish_service(turn, connection, world)
    return _look_for_session(turn, reconnected_at, proof_settings.application_name, world)


def _look_for_session(turn: Turn, reconnected_at: datetime, name: str, world: ProofPorts) -> Rollback:
    """Look for a session of that name that was active after the last old connection was gone.

    Ages are measured on the database's clock. Addresses prove nothing: behind Neon, `client_addr` is the address of
    Neon's proxy, pooler or local proxy (github.com/neondatabase/neon/issues/11719). The application sets the name, and
    pgbouncer passes the name on to the server session with each client.
    """
    connection, now, settings = turn.connection, world.clock.now(), database_settings(world)
    since = (now - reconnected_at).total_seconds()
    try:
        branch_id = _current_branch_id(turn.rollback, world)
        address = world.databases.connection_uri(branch_id, settings.database, settings.role)
        age, why = world.sql.last_activity(address).get(name), f"no session named {name} was found yet"
    except RetryLater as later:
        age, why = None, str(later)
    except ExternalServiceError as failure:
        return finish_service(turn, connection.evolve(note=f"its sessions could not be read: {failure}"), world)
    if age is not None and age < since:
        return finish_service(turn, connection.evolve(session_seen_at=now), world)
    if since >= settings.session_proof_seconds:
        note = (
            f"no session named {name} was found in {settings.session_proof_seconds:g} seconds, so "
            f"its connection is not proved"
        )
        return finish_service(turn, connection.evolve(note=note), world)
    return save_connection(turn, connection.evolve(waiting_reason=why), world.settings.policy.poll_seconds)


def _current_branch_id(rollback: Rollback, world: HasSettings) -> str:
    """Neon's id of the branch now; a recreated branch has a new id."""
    progress, planned = rollback.database, rollback.plan.database if rollback.plan is not None else None
    known = progress.current_branch_id if progress is not None else None
    return known or database_settings(world).branch_id or (planned.branch if planned is not None else "")
