"""Duration of a rollback's phases, computed from its document."""

from datetime import datetime
from itertools import pairwise

from rollback.domain.rollback import Rollback

PHASES = ("detect", "decide", "act", "verify")


def phases(rollback: Rollback) -> dict[str, float]:
    """Seconds by phase, in order; a phase without a start or an end is left out.

    Detect ends when the document is made. Decide ends when the database or service step begins. Act ends when the
    service has settled on the target. Verify ends with the last good round.
    """
    event, service, verification = rollback.event, rollback.service, rollback.verification
    began = [part.started_at for part in (rollback.database, service) if part is not None]
    times = (
        event.at if event is not None else None,
        rollback.created_at,
        min(began, default=None),
        acted_until(rollback),
        verification.passed_at if verification is not None else None,
    )
    return {
        phase: max(0.0, (end - begin).total_seconds())  # clocks of two machines may differ a little
        for phase, (begin, end) in zip(PHASES, pairwise(times), strict=True)
        if begin is not None and end is not None
    }


def acted_until(rollback: Rollback) -> datetime | None:
    """End of Act; a drill of the database ends with its preview, since it moves no service."""
    if rollback.service is not None:
        return rollback.service.done_at
    return rollback.database.ended_at if rollback.is_drill and rollback.database is not None else None
