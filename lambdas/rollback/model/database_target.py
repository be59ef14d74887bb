"""What is restored: a branch, who writes to it, and how long each part may take."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from rollback.model.settings import ServiceSettings


class RestoreTarget(BaseModel):
    """One branch of one Neon project. Durations from live reports: a restore takes 6 to 13 s from request to query."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    branch_id: str
    database: str
    role: str
    writers: tuple[ServiceSettings, ...] = Field(
        min_length=1, description="every service that writes to the branch (rule 8); the first is put back first"
    )
    children: Literal["refuse", "move"] = Field(
        default="refuse", description="a restored branch's children move to its backup, with the bad data in them"
    )
    window_margin_minutes: float = Field(
        default=15, ge=0, description="a restore point this close to the end of Neon's history may leave it meanwhile"
    )
    session_grace_seconds: float = Field(
        default=90, ge=0, description="after the last task has stopped; a pooler lets its sessions go later"
    )
    fence_timeout_minutes: float = Field(default=10, gt=0, description="until every task is STOPPED")
    restore_timeout_minutes: float = Field(default=20, gt=0, description="fence, preview, restore and checks together")
    tidy_timeout_minutes: float = Field(default=5, gt=0, description="for putting right what a failure left")
    lost_answer_seconds: int = Field(
        default=30, ge=1, description="a change without an answer may still arrive: looked at before it is sent again"
    )
    preview_hours: float = Field(default=2, gt=0, description="Neon deletes a preview that we could not delete")
    digests_up_to_rows: int = Field(default=10_000, ge=0, description="longer tables are only counted for the report")
