"""Progress of the data-loss analysis: the compared branches, the resources created for it, and its report.

The analysis begins after the rollback is concluded, so no service waits for it. It compares the backup with a child
branch at the restored LSN. No service writes to either, so later writes don't change the result (decision 28).
"""

from enum import StrEnum
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from rollback.domain.database.data_loss import DataLossReport
from rollback.resources.database.wal_position import LsnText
from rollback.text import StoredText

COMPARISON_BRANCH_PREFIX = "rollback-comparison-"


def comparison_branch_name(rollback_id: str) -> str:
    """Name of the child branch that the backup is compared with. A retry gets the same name."""
    return f"{COMPARISON_BRANCH_PREFIX}{rollback_id}"


class ComparisonBase(StrEnum):
    """Branch that the backup is compared with."""

    CHILD = "child"  # created for the analysis at the restored LSN: no service writes to it
    SOURCE = "source"  # the backup that an undo restored: no service writes to it
    BRANCH = "branch"  # the restored branch itself: services may have written to it since


class DataLossAnalysis(BaseModel):
    """Data-loss analysis in the database's progress; set once the rollback is concluded."""

    model_config = ConfigDict(frozen=True, extra="allow")  # a newer version's fields are kept

    began_at: AwareDatetime
    seen_at: AwareDatetime = Field(description="time of the last round; long ago: the analysis was abandoned")
    is_resumed: bool = Field(
        default=False, description="the database function's schedule resumed the analysis, which it does once"
    )
    base: ComparisonBase | None = Field(default=None, description="None: not chosen yet")
    parent_id: str | None = Field(default=None, description="parent of the child branch")
    lsn: LsnText | None = Field(default=None, description="LSN of the child branch in its parent's history")
    base_id: str | None = Field(
        default=None, description="id of the branch; None for a child branch that Neon does not list yet"
    )
    child_requested_at: AwareDatetime | None = Field(
        default=None, description="when the child branch was announced; the analysis deletes it at its end"
    )
    expires: bool = Field(
        default=True, description="the child branch is created with `expires_at`; Neon refuses that for some projects"
    )
    child_refusal: str = ""
    computes: tuple[str, ...] = Field(
        default=(), description="branches that got a compute for the analysis, which deletes it at its end"
    )
    position: tuple[str, str, str] | None = Field(default=None, description="the last table compared")
    left: StoredText = Field(default="", description="resources that could not be deleted")
    report: DataLossReport = DataLossReport()
    ended_at: AwareDatetime | None = None
    cleaned_up_at: AwareDatetime | None = None
    reported_at: AwareDatetime | None = None

    def evolve(self, **changes: Any) -> "DataLossAnalysis":
        """Return a validated copy with some fields changed."""
        return DataLossAnalysis.model_validate({**dict(self), **changes})
