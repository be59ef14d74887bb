"""How far the account of lost writes is: what the backup is compared with, what was made for it, what is told.

It is made after the rollback is concluded, from branches that nothing writes to: the backup, and a child branch at the
very LSN that was restored. So no service waits for it, and nothing written later blurs it (decision 28).
"""

from enum import StrEnum
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from rollback.domain.database.data_loss import DataLossReport
from rollback.resources.database.wal_position import LsnText
from rollback.text import StoredText

COMPARISON_BRANCH_PREFIX = "rollback-comparison-"


def comparison_branch_name(rollback_id: str) -> str:
    """Of the child branch that the backup is compared with: the same again for a retry."""
    return f"{COMPARISON_BRANCH_PREFIX}{rollback_id}"


class ComparisonBase(StrEnum):
    """What the backup is compared with."""

    CHILD = "child"  # a branch made for this, at the LSN that the restore left: nothing writes to it
    SOURCE = "source"  # the backup that an undo went back to: nothing writes to it
    BRANCH = "branch"  # the restored branch itself, which services may have written to since


class DataLossAnalysis(BaseModel):
    """Part of the database's progress, from the conclusion on; `evolve` is the only way on."""

    model_config = ConfigDict(frozen=True, extra="allow")  # a newer version's fields are kept

    began_at: AwareDatetime
    seen_at: AwareDatetime = Field(description="the last round; one that is long ago means that nobody goes on with it")
    is_resumed: bool = Field(default=False, description="the database function's schedule goes on with it, once")
    base: ComparisonBase | None = Field(default=None, description="None: not chosen yet")
    parent_id: str | None = Field(default=None, description="of a child: which branch it is made of")
    lsn: LsnText | None = Field(default=None, description="of a child: where")
    base_id: str | None = Field(default=None, description="the branch itself; of a child None until it is seen")
    child_requested_at: AwareDatetime | None = Field(
        default=None, description="announced before it is made, and deleted"
    )
    expires: bool = Field(default=True, description="the child expires by itself; Neon refuses that for some projects")
    child_refusal: str = ""
    computes: tuple[str, ...] = Field(default=(), description="branches that are given a compute, which is deleted")
    position: tuple[str, str, str] | None = Field(default=None, description="the last table compared")
    left: StoredText = Field(default="", description="what could not be deleted")
    report: DataLossReport = DataLossReport()
    ended_at: AwareDatetime | None = None
    cleaned_up_at: AwareDatetime | None = None
    reported_at: AwareDatetime | None = None

    def evolve(self, **changes: Any) -> "DataLossAnalysis":
        """A validated copy with some fields changed."""
        return DataLossAnalysis.model_validate({**dict(self), **changes})
