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


def prove_connection(turn: Turn, reconnected_at: datetime, ports: ProofPorts) -> Rollback:
    """Look for the proof once. A missing proof is no failure; Verify asks the endpoint.

    Args:
        turn: the service's turn.
        reconnected_at: its connection's `reconnected_at`.
        ports: access to the ledger, and the settings.
    """
    connection = turn.connection
    now, proof_settings = ports.clock.now(), ports.settings.service(connection.service).connection
    if proof_settings.command and (connection.proof is None or connection.proof.ended_at is None):
        view = ports.services.describe(ports.settings.service(connection.service))
        proof = run_task(turn, connection.proof, proof_settings.command, PROVE_ACTION, view, ports)
        if not isinstance(proof, CommandRun):
            return proof
        pause = ports.settings.policy.poll_seconds if proof.ended_at is None else 0
        return save_connection(turn, connection.evolve(proof=proof, intent=None), pause)
    reason = why_failed(connection.proof) if connection.proof is not None else None
    if reason is not None:
        return finish_service(turn, connection.failed(reason, now), ports)
    if proof_settings.application_name is None or connection.proof is not None:
        return finish_service(turn, connection, ports)
    return _look_for_session(turn, reconnected_at, proof_settings.application_name, ports)


def _look_for_session(turn: Turn, reconnected_at: datetime, name: str, ports: ProofPorts) -> Rollback:
    """Look for a session of that name that was active after the last old connection was gone.

    Ages are measured on the database's clock. Addresses prove nothing: behind Neon, `client_addr` is the address of
    Neon's proxy, pooler or local proxy (github.com/neondatabase/neon/issues/11719). The application sets the name, and
    pgbouncer passes the name on to the server session with each client.
    """
    connection, now, settings = turn.connection, ports.clock.now(), database_settings(ports)
    since = (now - reconnected_at).total_seconds()
    try:
        branch_id = _current_branch_id(turn.rollback, ports)
        address = ports.neon.connection_uri(branch_id, settings.database, settings.role)
        age, reason = ports.sql.last_activity(address).get(name), f"no session named {name} was found yet"
    except RetryLater as later:
        age, reason = None, str(later)
    except ExternalServiceError as failure:
        return finish_service(turn, connection.evolve(note=f"its sessions could not be read: {failure}"), ports)
    if age is not None and age < since:
        return finish_service(turn, connection.evolve(session_seen_at=now), ports)
    if since >= settings.session_proof_seconds:
        note = (
            f"no session named {name} was found in {settings.session_proof_seconds:g} seconds, so "
            f"its connection is not proved"
        )
        return finish_service(turn, connection.evolve(note=note), ports)
    return save_connection(turn, connection.evolve(waiting_reason=reason), ports.settings.policy.poll_seconds)


def _current_branch_id(rollback: Rollback, ports: HasSettings) -> str:
    """Neon's id of the branch now; a recreated branch has a new id."""
    progress, planned = rollback.database, rollback.plan.database if rollback.plan is not None else None
    current_branch_id = progress.current_branch_id if progress is not None else None
    return current_branch_id or database_settings(ports).branch_id or (planned.branch if planned is not None else "")
