"""Restrict the service step to the one move of a drill: a new deployment of the definition that runs already."""

from rollback.domain.plan import ServiceBaseline
from rollback.domain.service_progress import ServiceProgress
from rollback.resources.aws.ecs_service import ServiceView
from rollback.service.next_action import SERVICE_CHANGES, ServiceMove


def next_drill_move(
    move: ServiceMove, progress: ServiceProgress, baseline: ServiceBaseline, primary_id: str
) -> ServiceMove:
    """Decide the move of a drill, given the move of a rollback in the same state.

    The service restarts once, and only from a settled state. Every other change becomes a wait: the time limit, or a
    newer release of the team, then ends the drill.

    Args:
        move: move that a rollback to the running release would make.
        progress: progress of the service step.
        baseline: the service before the drill.
        primary_id: PRIMARY's deployment now.
    """
    has_restarted = primary_id != baseline.deployment_id
    if has_restarted:
        return ServiceMove.WAIT_FOR_TARGET if move in SERVICE_CHANGES else move
    if progress.acted_at is not None:  # ECS does not show the requested deployment yet
        return ServiceMove.WAIT_FOR_TARGET
    return ServiceMove.FORCE_NEW_DEPLOYMENT if move is ServiceMove.DONE else ServiceMove.WAIT_FOR_TARGET


def recover_unsaved_drill_restart(progress: ServiceProgress, view: ServiceView) -> ServiceProgress:
    """Crash recovery: another PRIMARY deployment proves that the announced restart was requested."""
    intent = progress.intent
    if intent is None or intent.arguments.get("replaced_deployment_id") in (None, view.primary.id):
        return progress
    return progress.evolve(acted_at=progress.acted_at or intent.at, redeployment_forced_at=intent.at, intent=None)


def is_overtaken(progress: ServiceProgress, baseline: ServiceBaseline | None, view: ServiceView) -> bool:
    """Whether another actor deployed before the drill did: its deployment would be measured as the drill's."""
    return baseline is not None and progress.acted_at is None and view.primary.id != baseline.deployment_id
