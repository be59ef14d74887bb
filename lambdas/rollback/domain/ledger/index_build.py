"""Progress of the build of the ledger's index, which spans several calls and makes two passes."""

from datetime import datetime, timedelta

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

# Lambda's longest run: until then a function of the former version may still write.
_OTHER_VERSIONS_MAY_WRITE = timedelta(minutes=15)


class IndexBuild(BaseModel):
    """One build.

    Attributes:
        before: sort key of the last indexed item; None: the part begins with its newest item.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    first_started_at: AwareDatetime
    passes: int = Field(default=0, description="number of complete passes")
    part: int = Field(
        default=0, description="index of the part: a service's documents, then its releases, then the next service's"
    )
    before: str | None = None
    items: int = Field(default=0, description="items indexed in the current pass")
    is_complete: bool = False

    def has_to_wait(self, now: datetime) -> bool:
        """Whether the second pass has to wait for writes of the former version."""
        return self.passes == 1 and now - self.first_started_at < _OTHER_VERSIONS_MAY_WRITE

    def advance(self, item_count: int, last_sort_key: str | None) -> "IndexBuild":
        """A copy after some items.

        Args:
            item_count: number of items indexed.
            last_sort_key: sort key of the last one; None: the part is complete.
        """
        part = self.part if last_sort_key is not None else self.part + 1
        return self.model_copy(update={"items": self.items + item_count, "part": part, "before": last_sort_key})

    def complete_pass(self) -> "IndexBuild":
        """A copy after all parts; a ledger without items is new and needs one pass only."""
        is_complete = self.passes == 1 or self.items == 0
        next_pass = {"passes": self.passes + 1, "part": 0, "before": None, "items": 0}
        return self.model_copy(update={**next_pass, "is_complete": is_complete})
