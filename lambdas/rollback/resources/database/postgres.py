"""Facts about a database from one query: its position in the write-ahead log, and its client sessions."""

from datetime import datetime

from pydantic import AwareDatetime, BaseModel, ConfigDict

from rollback.resources.database.wal_position import LsnText


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class WalPosition(BaseModel):
    """End of a database's log with the database's time, the two parts of a restore point.

    Attributes:
        timeline: Neon's identity of the history in which the LSN is a position; None for another Postgres.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")  # part of a document: a newer version may have written it

    lsn: LsnText
    at: AwareDatetime
    timeline: str | None = None


CLIENT = "client backend"


class ClientSession(_Frozen):
    """Session that is neither the rollback's nor Neon's own.

    Attributes:
        state: None if the role may not see it.
        kind: Postgres's `backend_type`; a background worker is no client.
    """

    pid: int
    role: str
    application: str = ""
    address: str | None = None
    state: str | None = None
    connected_at: datetime | None = None
    database: str = ""
    kind: str = CLIENT

    @property
    def is_client(self) -> bool:
        """Whether a program connected; False for a background worker of Postgres."""
        return self.kind == CLIENT

    @property
    def in_words(self) -> str:
        """Program, role, address and time, for the operator who has to end the session."""
        where = f" in database {self.database}" if self.database else ""
        since = f", since {self.connected_at:%H:%M:%S} UTC" if self.connected_at is not None else ""
        if not self.is_client:
            return f"{self.kind} as {self.role}{where}{since}"
        return f"{self.application or 'unnamed'} as {self.role} from {self.address or 'unknown'}{where}{since}"
