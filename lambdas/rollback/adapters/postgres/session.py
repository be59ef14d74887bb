"""A session with a database of a branch. Imported late: psycopg takes 0.3 s to load, and few functions need it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo
from pydantic import SecretStr

from rollback.errors import RefusalKind
from rollback.resources.database.connection_failure import classify_permanent_failure
from rollback.resources.database.errors import QueryFailed, SessionRefused, Unreachable
from rollback.text import service_message

CONNECT_SECONDS = 10
STATEMENT_SECONDS = 30.0
_APPLICATION = "rollback"
# PostgreSQL error codes (appendix A): connection exceptions, and shutdowns, as of a compute that goes to sleep.
_SESSION_ENDED, _MAY_NOT = ("08", "57P"), "42501"


@contextmanager
def open_session(
    address: SecretStr,
    *,
    database: str | None = None,
    statement_seconds: float = STATEMENT_SECONDS,
    writes: bool = False,
) -> Iterator["psycopg.Connection[Any]"]:
    """Connect, read-only and with one snapshot, unless it is to write.

    Args:
        database: of the same branch; None: the address's own.

    Raises:
        SessionRefused: the database or Neon refuses every session like this one.
        Unreachable: no session came about, or it ended; ask again (what writes here is idempotent).
        QueryFailed: Postgres refused, or took too long.
    """
    try:
        target = address.get_secret_value()
        target = make_conninfo(target, dbname=database) if database is not None else target
        session = psycopg.connect(
            target,
            connect_timeout=CONNECT_SECONDS,
            application_name=_APPLICATION,
            options=f"-c statement_timeout={round(statement_seconds * 1000)}",
        )
    except psycopg.OperationalError as error:
        told = f"no session with the database: {service_message(str(error))}"
        permanent = classify_permanent_failure(str(error), error.sqlstate)
        if permanent is not None:
            raise SessionRefused(f"{told}; {permanent.mend}", kind=permanent.kind) from error
        raise Unreachable(f"{told}; it may be waking up, connect again") from error
    except psycopg.Error:  # its text quotes the address
        raise QueryFailed("the address of the database can't be read; look at the secret it came from") from None
    with session:
        session.read_only = not writes
        session.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        try:
            yield session
            if writes:
                session.commit()  # here, so that its error is named like any other
        except psycopg.Error as error:
            raise translate_error(error, session) from error


def translate_error(error: psycopg.Error, session: "psycopg.Connection[Any]") -> Unreachable | QueryFailed:
    """Name an error of Postgres by whether the same call may succeed later."""
    told = f"{type(error).__name__}: {service_message(str(error))}"
    if session.broken or (error.sqlstate or "").startswith(_SESSION_ENDED):
        return Unreachable(f"the session with the database ended: {told}; ask again")
    mend = "; grant what it names to the role of the connection" if error.sqlstate == _MAY_NOT else ""
    kind = RefusalKind.ACCESS if mend else RefusalKind.REQUEST
    return QueryFailed(f"the database refused to tell: {told}{mend}", kind=kind)
