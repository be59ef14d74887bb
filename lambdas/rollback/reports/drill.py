"""The report's section about a drill: what was rehearsed, the recovery time by phase, and what a failure means."""

from collections.abc import Iterator

from rollback.domain.phases import phases
from rollback.domain.request import RollbackType
from rollback.domain.rollback import Outcome, Rollback

_REHEARSED = {
    RollbackType.SERVICE: "the running release was deployed once more, by the steps of a service rollback",
    RollbackType.EMERGENCY: "the running release was deployed once more, by one invocation of an emergency",
    RollbackType.DATABASE: "the restore point was checked on a preview branch, which was deleted again",
}
_MEANING = {
    Outcome.FAILED: (
        "A rollback may fail in the same way. Find the cause before the next release: until then the service may have "
        "no rollback"
    ),
    Outcome.REFUSED: "The drill changed nothing. It did not show whether a rollback works",
    Outcome.SUPPRESSED: "The drill changed nothing. It did not show whether a rollback works",
    Outcome.ABORTED: "The drill did not end. It did not show whether a rollback works",
    Outcome.SUPERSEDED: "A newer release ended the drill. It did not show whether a rollback works",
}


def format_drill(rollback: Rollback) -> Iterator[str]:
    """Lines of the report; none for a rollback that is no drill."""
    if not rollback.is_drill:
        return
    if rollback.outcome is Outcome.SUCCEEDED and rollback.request.type in _REHEARSED:
        yield f"Rehearsed: {_REHEARSED[rollback.request.type]}"
    if rollback.taken_over_by is not None:
        yield f"{rollback.taken_over_by} took over at once, and reports by itself"
    elif rollback.outcome in _MEANING:
        yield _MEANING[rollback.outcome]
    seconds = phases(rollback)
    if seconds:
        parts = ", ".join(f"{phase} {value:.0f} s" for phase, value in seconds.items())
        yield f"Recovery time: {sum(seconds.values()):.0f} s ({parts})"
