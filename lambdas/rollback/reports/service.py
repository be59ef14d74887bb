"""Tell of the service: what was done to it, what did not help, and what the team deployed meanwhile."""

from rollback.domain.rollback import Outcome, Rollback


def format_service(rollback: Rollback) -> list[str]:
    """Lines of the report."""
    lines, service = [], rollback.service
    for tried in service.tried if service is not None else ():
        to = f" to {tried.target}" if tried.target else ""
        lines.append(
            f"Tried {tried.escalation_level}{to} ({tried.since:%H:%M:%S} to {tried.until:%H:%M:%S} UTC): "
            f"{tried.escalation_reason}"
        )
        lines += [f"  ECS: {event}" for event in tried.last_events]
    lines += [f"Note: {note}" for note in (service.notes if service is not None else ())]
    return [*lines, *_about_newer(rollback)]


def _about_newer(rollback: Rollback) -> list[str]:
    newer = rollback.newer
    if newer is None:
        return []
    if rollback.outcome is Outcome.SUPERSEDED:
        done = ", ".join(rollback.service.moves) if rollback.service is not None else ""
        stopped = "; all tasks were stopped meanwhile" if rollback.has_fenced else ""
        lines = [f"Newer release, left alone: {newer.in_words}", f"  Done before: {done or 'nothing'}{stopped}"]
        if newer.is_replaced_release_redeployed:
            lines.append("  It is the release that this rollback left: look whether that was meant")
        return lines
    if newer.why_replaced:
        return [f"Replaced meanwhile: {newer.in_words}; {newer.why_replaced}. Look at it before it is deployed again"]
    return [f"Deployed meanwhile: {newer.in_words}; ECS gave it up, or it did not settle in time"]
