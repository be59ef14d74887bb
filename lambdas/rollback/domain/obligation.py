"""A setting that a rollback changed and must put back."""

from enum import StrEnum
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field


class ObligationKind(StrEnum):
    """A kind of setting that a rollback may have changed and must put back."""

    DEPLOYMENT_CONFIGURATION = "deployment_configuration"
    SCALING = "scaling"
    FENCE = "fence"
    BRANCH_PROTECTION = "branch_protection"
    PREVIEW_BRANCH = "preview_branch"  # the preview of a drill is deleted, also after a crash


BRANCH_OBLIGATIONS = frozenset({ObligationKind.BRANCH_PROTECTION, ObligationKind.PREVIEW_BRANCH})  # Neon restores them

OPERATOR = "operator"  # `handed_to` of an obligation that no rollback could discharge


class Obligation(BaseModel):
    """A setting to put back: appended before the change, discharged by Conclude in reverse order."""

    model_config = ConfigDict(frozen=True, extra="allow")  # a newer version's fields are kept

    kind: ObligationKind
    before: dict[str, Any]
    discharged_at: AwareDatetime | None = None
    handed_to: str | None = Field(default=None, description="id of the rollback that puts it back now, or `operator`")
    service: str | None = Field(
        default=None,
        description="service that was changed; None: the rollback's own. A fence stops several services (rule 8)",
    )

    @property
    def is_open(self) -> bool:
        """Whether this rollback still has to put the setting back."""
        return self.discharged_at is None and self.handed_to is None

    @property
    def is_left_to_operator(self) -> bool:
        """Whether an operator still has to put the setting back."""
        return self.discharged_at is None and self.handed_to == OPERATOR
