"""How far the building of the ledger's index is: it goes on over several calls, and is made twice."""

from datetime import datetime, timedelta

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

_OTHER_VERSIONS_WRITE = timedelta(minutes=15)  # Lambda's longest run: a function of the version before may still save


class IndexBuild(BaseModel):
    """One build. `before`: the sort key that was last indexed; None: the part begins with its newest item."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    first_started_at: AwareDatetime
    passes: int = Field(default=0, description="complete ones")
    part: int = Field(default=0, description="a service's documents, then its releases, then the next service's")
    before: str | None = None
    items: int = Field(default=0, description="of the pass that goes on")
    is_complete: bool = False

    def has_to_wait(self, now: datetime) -> bool:
        """Whether the second pass would still be too early."""
        return self.passes == 1 and now - self.first_started_at < _OTHER_VERSIONS_WRITE

    def advance(self, done: int, before: str | None) -> "IndexBuild":
        """After some items; `before` None: the part is done."""
        part = self.part if before is not None else self.part + 1
        return self.model_copy(update={"items": self.items + done, "part": part, "before": before})

    def complete_pass(self) -> "IndexBuild":
        """After all parts. A ledger without any item is new: nobody else writes to it."""
        over = self.passes == 1 or self.items == 0
        begun_anew = {"passes": self.passes + 1, "part": 0, "before": None, "items": 0}
        return self.model_copy(update={**begun_anew, "is_complete": over})
