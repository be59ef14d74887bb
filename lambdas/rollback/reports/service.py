"""The report's section about the service: failed moves, notes, and the team's deployments during the rollback."""

from collections.abc import Iterator

from rollback.domain.rollback import Outcome, Rollback


def format_service(rollback: Rollback) -> list[str]:
    """Lines of the report; none if there is nothing to say."""
    return [*_failed_moves(rollback), *_newer_deployment(rollback)]


def _failed_moves(rollback: Rollback) -> Iterator[str]:
    service = rollback.service
    if service is None:
        return
    if service.stop_refused:
        yield f"The deployment in flight could not be stopped: {service.stop_refused}"
    for attempt in service.attempts:
        target = f" to {attempt.target}" if attempt.target else ""
        period = f"{attempt.since:%H:%M:%S} to {attempt.until:%H:%M:%S} UTC"
        yield f"Tried {_in_words(attempt.escalation_level)}{target} ({period}): {attempt.escalation_reason}"
        yield from (f"  ECS: {event}" for event in attempt.last_events)
    yield from (f"Note: {note}" for note in service.notes)


def _newer_deployment(rollback: Rollback) -> Iterator[str]:
    newer = rollback.newer
    if newer is None:
        return
    if rollback.outcome is Outcome.SUPERSEDED:
        moves = ", ".join(rollback.service.moves).replace("_", " ") if rollback.service is not None else ""
        remark = "; all tasks were stopped during the rollback" if rollback.has_fenced else ""
        yield f"Newer release, not replaced: {newer.in_words}"
        yield f"  Moves before the newer release: {moves or 'none'}{remark}"
        if newer.is_replaced_release_redeployed:
            yield "  This rollback replaced the same release: check that the deployment was intended"
    elif newer.why_replaced:
        yield (
            f"Replaced during the rollback: {newer.in_words}; {newer.why_replaced}. Check that release before you "
            "deploy it again"
        )
    else:
        yield f"Deployed during the rollback: {newer.in_words}; the deployment failed, or did not complete in time"


def _in_words(level: str) -> str:
    return level.replace("_", " ")
