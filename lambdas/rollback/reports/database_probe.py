"""Say in a report whether the database answered at the last look, and how fast."""

from collections.abc import Iterator

from rollback.domain.rollback import Rollback


def format_database_probe(rollback: Rollback) -> Iterator[str]:
    """Say one line in an environment with a standing branch; a missing look is said so."""
    database = rollback.settings.database if rollback.settings is not None else None
    if database is None or database.branch_id is None:
        return
    probe = rollback.database_probe
    if probe is None:
        yield "Database when the rollback ended: not looked at"
        return
    at = f"{probe.at:%Y-%m-%d %H:%M:%S} UTC"
    if not probe.has_answered:
        yield f"Database at the last look, {at}: did not answer, in {probe.attempts} attempts"
        return
    connect, query = probe.connect_milliseconds or 0, probe.query_milliseconds or 0
    yield (
        f"Database at the last look, {at}: answered; the connection took {connect:.0f} ms (with the start of a "
        f"suspended compute), the query {query:.0f} ms"
    )
