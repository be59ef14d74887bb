"""Result of one SQL query of the team, as Postgres sent it."""

from pydantic import BaseModel, ConfigDict


class StatementResult(BaseModel):
    """Result of a query, or the reason why Postgres refused the query.

    Attributes:
        rows: number of rows.
        value: first value of the first row as text, as psql prints it; None: no row, or NULL.
        error: Postgres's message; empty: the query ran.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int = 0
    value: str | None = None
    error: str = ""
