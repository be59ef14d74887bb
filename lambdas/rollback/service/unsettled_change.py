"""Find out before a rollback concludes whether its last announced change of the service was made (decision 18)."""

from datetime import datetime, timedelta

from rollback.domain.rollback import Outcome, Rollback
from rollback.domain.service_progress import Intent, ServiceProgress
from rollback.errors import CallRefused, ExternalServiceError, UnsupportedService
from rollback.intents.announce import is_conclusion_overdue
from rollback.resources.aws.ecs_service import ENDED_ELSEWHERE, ROLLING_BACK, ServiceView
from rollback.service.ports import ServiceReadPorts

_STOPPED = ROLLING_BACK | ENDED_ELSEWHERE | {"STOP_REQUESTED"}


def resolve_service_change(rollback: Rollback, now: datetime, ports: ServiceReadPorts) -> Rollback:
    """Wait until the announced call can't land any more, then ask ECS whether the call changed the service.

    Rule 9: the intent is written before the change. The call ends with the Lambda function that sends it.
    """
    progress = rollback.service
    intent = progress.intent if progress is not None else None
    if progress is None or intent is None:
        return rollback
    if now < intent.at + timedelta(seconds=ports.settings.policy.act_timeout_seconds):
        return rollback.evolve(wait_seconds=ports.settings.policy.poll_seconds)
    has_landed = None
    try:
        has_landed = _has_landed(intent, ports.services.describe(ports.settings.service(rollback.service_name)))
    except (UnsupportedService, CallRefused):
        pass  # ECS will not answer later either
    except ExternalServiceError:
        if not is_conclusion_overdue(rollback, now, ports):
            return rollback.evolve(wait_seconds=ports.settings.policy.poll_seconds)
    if not has_landed:
        settled_progress = progress.evolve(intent=None)
        if has_landed is None:
            settled_progress = settled_progress.add_note(
                f'it is NOT KNOWN whether ECS made the change "{_in_words(intent)}" that was announced at '
                f"{intent.at:%H:%M:%S} UTC"
            )
        return rollback.evolve(service=settled_progress, wait_seconds=0)
    return _mark_acted(rollback, progress, intent)


def _has_landed(intent: Intent, view: ServiceView) -> bool | None:
    """Whether the call changed the service; None: ECS does not show it any more."""
    stopped_arn, definition_arn = intent.arguments.get("service_deployment_arn"), intent.arguments.get("definition_arn")
    if stopped_arn is not None:
        is_newest = view.newest is not None and view.newest.arn == stopped_arn
        return view.newest is not None and view.newest.status in _STOPPED if is_newest else None
    if intent.arguments.get("replaced_deployment_id") is not None:  # the same definition, deployed once more
        return view.primary.id != str(intent.arguments["replaced_deployment_id"])
    if definition_arn is not None:
        return view.primary.definition_arn == str(definition_arn)
    desired_count = intent.arguments.get("desired_count")
    return desired_count is not None and view.desired_count == int(desired_count)


def _in_words(intent: Intent) -> str:
    return intent.action.replace("_", " ")


def _mark_acted(rollback: Rollback, progress: ServiceProgress, intent: Intent) -> Rollback:
    """Record the unsaved change. A rollback that was aborted by a crash has failed, because the service was changed."""
    is_first_change, acted_at = progress.acted_at is None, progress.acted_at or intent.at
    note = f'ECS made the change "{_in_words(intent)}" that was announced at {intent.at:%H:%M:%S} UTC'
    after = rollback.evolve(service=progress.evolve(intent=None, acted_at=acted_at).add_note(note), wait_seconds=0)
    if not is_first_change or rollback.outcome is not Outcome.ABORTED or rollback.taken_over_by is not None:
        return after
    if rollback.is_aborted_by_operator:
        return after.evolve(is_reported=False)
    return after.evolve(outcome=Outcome.FAILED, reason=f"{rollback.reason}; {note}", recheck_at=None, is_reported=False)
