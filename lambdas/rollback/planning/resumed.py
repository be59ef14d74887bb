"""The rollback that was taken over: what a new plan keeps of it."""

from rollback.domain.releases.newer_release import DeploymentStatus
from rollback.domain.request import OPERATOR_TRIGGERS
from rollback.domain.rollback import Rollback
from rollback.leases.holder import find_rollback
from rollback.resources.aws.ecs_service import ServiceView
from rollback.service.newer_deployment import newer_release
from rollback.service.ports import NewerReleasePorts


def find_rollback_to_resume(rollback: Rollback, view: ServiceView, world: NewerReleasePorts) -> Rollback | None:
    """The rollback that was taken over and whose plan is kept; None: the plan is made again.

    A plan is kept once its rollback has begun to act; an operator's plan is kept as soon as it stands. PRIMARY may run
    that plan's target already, and a step back from there would be one too many. The rollback may have ended since it
    found its lease lost.

    An operator who names a version gets that version. A release that the team deployed after the kept plan was made is
    judged again, unless the database was changed or the service is fenced.
    """
    if rollback.supersedes is None or rollback.request.target_version is not None:
        return None
    earlier = find_rollback(rollback.supersedes, world)
    if earlier is None or earlier.plan is None or earlier.plan.target is None:
        return None
    was_stopped = earlier.superseded_by == rollback.id or earlier.is_aborted_midway
    if earlier.outcome is not None and not was_stopped:
        return None
    if not earlier.has_changed_data and not earlier.is_fenced:
        newer, standing = newer_release(earlier, view, world)
        if newer is not None and standing is not DeploymentStatus.FAILED:
            return None
    has_begun = (
        earlier.has_moved_service
        or earlier.has_changed_data
        or (earlier.service is not None and earlier.service.intent is not None)
    )
    return earlier if has_begun or earlier.trigger in OPERATOR_TRIGGERS else None
