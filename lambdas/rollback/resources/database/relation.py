"""Relations of a database whose rows a report of data loss compares, and why one of them can't be compared."""

from enum import StrEnum
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict


class RelationKind(StrEnum):
    """What holds the rows. Views hold none, and a partitioned table's rows are in its partitions."""

    TABLE = "table"
    MATERIALIZED_VIEW = "materialized view"
    FOREIGN_TABLE = "foreign table"
    LARGE_OBJECTS = "large objects"


class Relation(BaseModel):
    """One relation of one database, as the catalogue describes it to the role of the connection.

    Attributes:
        key: columns of the primary key, in its order; without one, rows are compared as a multiset.
        why_not: why its rows can't be compared; empty if they can.
        reads_as: the role to read as, where row security hides rows from the role of the connection.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_name: str
    name: str
    kind: RelationKind = RelationKind.TABLE
    key: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    why_not: str = ""
    reads_as: str | None = None

    @property
    def in_words(self) -> str:
        """`schema.name`, or what it is where the catalogue's name tells less."""
        return "large objects" if self.kind is RelationKind.LARGE_OBJECTS else f"{self.schema_name}.{self.name}"


class RowQuery(BaseModel):
    """Which rows are compared, and by what: the same question is asked of both branches.

    Attributes:
        key: compared by; empty: rows are a multiset.
        columns: those that both branches have.
        seconds: after which Postgres cancels a statement.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    database: str
    schema_name: str
    name: str
    kind: RelationKind
    key: tuple[str, ...]
    columns: tuple[str, ...]
    reads_as: str | None = None
    seconds: float


class Bucket(NamedTuple):
    """Rows whose hash falls into one of 16,384 buckets: how many, and the sum of their 64-bit digests."""

    rows: int
    digest: str


class BranchDatabase(BaseModel):
    """A database of a branch; `can_connect`: the role of the connection may."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    can_connect: bool = True
