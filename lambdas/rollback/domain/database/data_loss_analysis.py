"""Progress of the data-loss analysis: the branch that the backup is compared with, and the report so far.

The analysis begins after the conclusion, so no service waits for it. It compares two branches that no service writes
to: the backup, and a child branch at the restored LSN. Later writes do not blur the result (decision 28).
"""

from enum import StrEnum
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from rollback.domain.database.data_loss import DataLossReport
from rollback.resources.database.wal_position import LsnText
from rollback.text import StoredText

COMPARISON_BRANCH_PREFIX = "rollback-comparison-"


def comparison_branch_name(rollback_id: str) -> str:
    """Name of the child branch that the backup is compared with. A retry uses the same name."""
    return f"{COMPARISON_BRANCH_PREFIX}{rollback_id}"


class ComparisonBase(StrEnum):
    """Branch that the backup is compared with."""

    CHILD = "child"  # made for the analysis at the restored LSN; no service writes to it
    SOURCE = "source"  # the backup that an undo went back to; no service writes to it
    BRANCH = "branch"  # the restored branch; services may have written to it since


class DataLossAnalysis(BaseModel):
    """Part of the database's progress after the conclusion; only `evolve` changes it."""

    model_config = ConfigDict(frozen=True, extra="allow")  # a newer version's fields are kept

    began_at: AwareDatetime
    seen_at: AwareDatetime = Field(description="last round; after a long pause the analysis counts as abandoned")
    is_resumed: bool = Field(
        default=False, description="the database function's schedule has resumed the analysis; it does so once"
    )
    base: ComparisonBase | None = Field(default=None, description="None: not chosen yet")
    parent_id: str | None = Field(default=None, description="parent of the child branch")
    lsn: LsnText | None = Field(default=None, description="LSN at which the child branch begins")
    base_id: str | None = Field(default=None, description="id of the compared branch; None until Neon lists the child")
    child_requested_at: AwareDatetime | None = Field(
        default=None, description="when the creation of the child was announced"
    )
    expires: bool = Field(
        default=True, description="whether the child gets an expiry; Neon refuses one for some projects"
    )
    child_refusal: str = ""
    computes: tuple[str, ...] = Field(
        default=(), description="branches with a compute that the analysis created and deletes"
    )
    position: tuple[str, str, str] | None = Field(default=None, description="the last table compared")
    leftover_resources: StoredText = Field(default="", description="resources that Neon did not delete")
    report: DataLossReport = DataLossReport()
    ended_at: AwareDatetime | None = None
    cleaned_up_at: AwareDatetime | None = None
    reported_at: AwareDatetime | None = None

    def evolve(self, **changes: Any) -> "DataLossAnalysis":
        """Copy the analysis with some fields changed and validated."""
        return DataLossAnalysis.model_validate({**dict(self), **changes})
