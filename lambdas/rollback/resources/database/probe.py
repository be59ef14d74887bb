"""One measurement of a database: whether it answers, and how fast."""

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field


class SessionTimes(BaseModel):
    """Duration of one session's parts. Connecting wakes a suspended compute, so the query is measured apart."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    connect_milliseconds: float = Field(ge=0)
    query_milliseconds: float = Field(ge=0)


class DatabaseProbe(BaseModel):
    """The last measurement of a branch, kept in the ledger as evidence for reports.

    Attributes:
        branch: its partition in the ledger.
        at: time at which the measurement began.
        has_answered: a session came about, and a query was answered.
        attempts: sessions that were tried.
        connect_milliseconds: until the session stood; None: no session came about.
        query_milliseconds: of one short query in that session; None: no answer.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")  # a newer version may have written it

    branch: str
    at: AwareDatetime
    has_answered: bool
    attempts: int = Field(default=1, ge=1)
    connect_milliseconds: float | None = None
    query_milliseconds: float | None = None
