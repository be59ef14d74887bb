"""A rollback at its service step: the plan has a target, and the service's progress has begun."""

from dataclasses import dataclass

from rollback.domain.plan import Plan
from rollback.domain.releases.release import Release
from rollback.domain.rollback import Rollback, ServiceProgress
from rollback.errors import InvalidRequest


@dataclass(frozen=True)
class ServiceStage:
    """A rollback with the parts that the service step needs, resolved once."""

    rollback: Rollback
    plan: Plan
    target: Release
    progress: ServiceProgress

    @classmethod
    def of(cls, rollback: Rollback, begun: ServiceProgress | None = None) -> "ServiceStage":
        """Resolve the parts of a document.

        Args:
            rollback: the document.
            begun: progress of a service step that begins now.

        Raises:
            InvalidRequest: the rollback has no plan with a target, or no service step has begun.
        """
        progress = rollback.service or begun
        if rollback.plan is None or rollback.plan.target is None or progress is None:
            raise InvalidRequest(f"{rollback.id} has no plan with a target that its service step could work for")
        return cls(rollback, rollback.plan, rollback.plan.target, progress)
