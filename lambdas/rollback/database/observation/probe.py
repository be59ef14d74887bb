"""Measure whether the database answers and how fast, for its alarms and for reports. Nothing is started by the result.

A measurement wakes a suspended compute, as every session does. So the interval is that of the observations, unless the
settings ask for more (`probe_minutes`).
"""

from datetime import timedelta

from pydantic import SecretStr

from rollback.database.observation.ports import ProbePorts
from rollback.domain.settings.database import DatabaseSettings
from rollback.errors import ExternalServiceError
from rollback.resources.database.probe import DatabaseProbe, SessionTimes

_ATTEMPTS = 2  # a compute that was suspended may refuse the first session


def probe_database(ports: ProbePorts) -> DatabaseProbe | None:
    """Measure the standing branch, and record the result as metrics and in the ledger.

    Returns:
        None if there is no standing branch, or if Neon's API gave no address: the database was not looked at.
    """
    settings = ports.settings.database
    if settings is None or settings.branch_id is None:
        return None
    try:
        address = ports.neon.connection_uri(settings.branch_id, settings.database, settings.role)
    except ExternalServiceError:
        return None
    probe = _measure(address, settings.branch_key(None), ports)
    ports.metrics.record_database(probe)
    ports.ledger.put_database_probe(probe)
    return probe


def is_probe_due(database: DatabaseSettings, ports: ProbePorts) -> bool:
    """Report whether `probe_minutes` have passed since the last measurement; never without that setting."""
    if database.probe_minutes is None:
        return False
    last = ports.ledger.database_probe(database.branch_key(None))
    return last is None or ports.clock.now() - last.at >= timedelta(minutes=database.probe_minutes)


def _measure(address: SecretStr, branch: str, ports: ProbePorts) -> DatabaseProbe:
    at, times = ports.clock.now(), None
    attempts = 0
    while times is None and attempts < _ATTEMPTS:
        attempts += 1
        times = _session_times(address, ports)
    return DatabaseProbe(
        branch=branch,
        at=at,
        has_answered=times is not None,
        attempts=attempts,
        connect_milliseconds=times.connect_milliseconds if times is not None else None,
        query_milliseconds=times.query_milliseconds if times is not None else None,
    )


def _session_times(address: SecretStr, ports: ProbePorts) -> SessionTimes | None:
    try:
        return ports.sql.measure(address)
    except ExternalServiceError:
        return None
