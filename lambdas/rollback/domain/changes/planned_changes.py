"""The changes that a rollback would make, listed before the first of them is made: a dry run as a diff.

Variables and secrets are named without their values. The list has what was not read as `not_looked_at`, so that a
missing line never means "no change".
"""

from enum import StrEnum
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from rollback.text import one_line

_TEXT_LIMIT = 240  # with `_MAX_CHANGES`, far below the 400 KB that DynamoDB allows an item
_MAX_CHANGES = 80


def _text(value: object) -> object:
    return one_line(value, _TEXT_LIMIT) if isinstance(value, str) else value


Text = Annotated[str, BeforeValidator(_text)]
"""One short line of text, without control characters."""


class Area(StrEnum):
    """The part of AWS or Neon that a change belongs to."""

    TASK_DEFINITION = "task definition"
    DESIRED_COUNT = "desired count"
    DEPLOYMENT_CONFIGURATION = "deployment configuration"
    SCALING = "scaling"
    DATABASE = "database"


class ChangeKind(StrEnum):
    """The kind of a change."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")  # a newer version may have written it


class PlannedChange(_Stored):
    """One change. `before` and `after` are empty where a value may be secret, and where there is none."""

    area: Area
    where: Text = Field(description="the service, container or branch that is changed")
    what: Text = Field(description="the member that is changed, such as `image` or `variable LOG_LEVEL`")
    kind: ChangeKind
    before: Text = ""
    after: Text = ""
    is_temporary: bool = Field(default=False, description="the rollback puts the value of before back")


class RowLossEstimate(_Stored):
    """The rows that a change of the database would remove, as far as they can be estimated without a change.

    A row that was inserted, changed or deleted since `since` counts as lost.
    """

    since: AwareDatetime | None = Field(default=None, description="writes after this time are lost; None: not known")
    minutes: float | None = Field(default=None, ge=0, description="from `since` to the plan")
    rows: int | None = Field(default=None, ge=0, description="an estimate; None: not estimated")
    wal_bytes: int | None = Field(
        default=None, ge=0, description="write-ahead log between `since` and `wal_measured_at`; None: not known"
    )
    wal_measured_at: AwareDatetime | None = None
    remark: Text = Field(default="", description="why the rows are not estimated, or what the estimate leaves out")


class PlannedChanges(_Stored):
    """All changes of one plan, in the order of `Area`.

    Attributes:
        items: the changes, bounded.
        more: number of changes beyond the bound.
        unchanged: parts that were read, and that the rollback leaves as they are.
        not_looked_at: parts that were not read, with the reason.
        row_loss: rows that the database would lose; None: the plan leaves the database as it is.
    """

    items: tuple[PlannedChange, ...] = ()
    more: int = 0
    unchanged: tuple[Text, ...] = ()
    not_looked_at: tuple[Text, ...] = ()
    row_loss: RowLossEstimate | None = None

    def bounded(self) -> "PlannedChanges":
        """A copy that fits into the ledger's document."""
        omitted = max(0, len(self.items) - _MAX_CHANGES)
        return self.model_copy(update={"items": self.items[:_MAX_CHANGES], "more": self.more + omitted})
