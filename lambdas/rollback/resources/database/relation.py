"""Relations of a database whose rows a report of data loss compares."""

from enum import StrEnum
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict


class RelationKind(StrEnum):
    """Kinds of relations with rows. Views have no rows, and a partitioned table's rows are in its partitions."""

    TABLE = "table"
    MATERIALIZED_VIEW = "materialized view"
    FOREIGN_TABLE = "foreign table"
    LARGE_OBJECTS = "large objects"


class Relation(BaseModel):
    """Relation of a database, as the catalogue describes it to the role of the connection.

    Attributes:
        key: columns of the primary key, in its order; without a key, rows are compared as a multiset.
        why_not: reason why its rows can't be compared; empty if they can.
        reads_as: role to read as, if row security hides rows from the role of the connection.
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
        """`schema.name`, or `large objects`, whose catalogue name says less."""
        return "large objects" if self.kind is RelationKind.LARGE_OBJECTS else f"{self.schema_name}.{self.name}"


class RowQuery(BaseModel):
    """Query for the rows to compare, equal for both branches.

    Attributes:
        key: columns that identify a row; without a key, rows are a multiset.
        columns: columns that both branches have.
        seconds: time after which Postgres cancels a statement.
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
    """Number of rows in one of 16,384 buckets, and the sum of their 64-bit digests."""

    rows: int
    digest: str


class BranchDatabase(BaseModel):
    """Database of a branch.

    Attributes:
        can_connect: the role of the connection may connect to it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    can_connect: bool = True
