"""How long the phases of a rollback took, told from its document."""

from itertools import pairwise

from rollback.domain.rollback import Rollback

PHASES = ("detect", "decide", "act", "verify")


def phases(rollback: Rollback) -> dict[str, float]:
    """Seconds by phase, in order; a phase that has no beginning or no end (yet) is left out.

    Detect: event to document. Decide: to the first look at the service or the database. Act: to the service settled on
    the target. Verify: to the last good round.
    """
    event, service, verification = rollback.event, rollback.service, rollback.verification
    began = [part.started_at for part in (rollback.database, service) if part is not None]
    times = (
        event.at if event is not None else None,
        rollback.created_at,
        min(began, default=None),
        service.done_at if service is not None else None,
        verification.passed_at if verification is not None else None,
    )
    return {
        phase: max(0.0, (end - begin).total_seconds())  # two machines' clocks may differ a little
        for phase, (begin, end) in zip(PHASES, pairwise(times), strict=True)
        if begin is not None and end is not None
    }
