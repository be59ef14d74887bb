"""Sessions with a database of a branch. `bootstrap` imports psycopg late: it takes 0.3 s and few functions need it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from pydantic import SecretStr

from rollback.errors import RefusalKind
from rollback.resources.database.connection_failure import classify_permanent_failure
from rollback.resources.database.errors import QueryFailed, SessionRefused, Unreachable
from rollback.text import service_message, without_secret

CONNECT_SECONDS = 10
STATEMENT_SECONDS = 30.0
_APPLICATION = "rollback"
# PostgreSQL error codes (appendix A): connection exceptions; shutdowns, as of a suspended compute; a missing privilege.
_SESSION_ENDED, _INSUFFICIENT_PRIVILEGE = ("08", "57P"), "42501"


@contextmanager
def open_session(
    address: SecretStr,
    *,
    database: str | None = None,
    statement_seconds: float = STATEMENT_SECONDS,
    writes: bool = False,
) -> Iterator["psycopg.Connection[Any]"]:
    """Open a session with one snapshot, read-only unless `writes`.

    Args:
        address: connection URI.
        database: another database of the same branch; None means the database of the address.
        statement_seconds: time after which Postgres cancels a statement.
        writes: allow writes, and commit at the end.

    Raises:
        SessionRefused: Postgres or Neon refuses every session of this address.
        Unreachable: no session came about, or it ended. Call again: the only write is idempotent.
        QueryFailed: Postgres refused the query, or it took too long.
    """
    try:
        target = address.get_secret_value()
        password = _password_of(target)
        target = make_conninfo(target, dbname=database) if database is not None else target
        session = psycopg.connect(
            target,
            connect_timeout=CONNECT_SECONDS,
            application_name=_APPLICATION,
            options=f"-c statement_timeout={round(statement_seconds * 1000)}",
        )
    except psycopg.OperationalError as error:
        text = f"no session with the database: {service_message(without_secret(str(error), password))}"
        permanent = classify_permanent_failure(str(error), error.sqlstate)
        if permanent is not None:
            raise SessionRefused(f"{text}; {permanent.remedy}", kind=permanent.kind) from error
        raise Unreachable(f"{text}; the compute may be starting, connect again") from error
    except psycopg.Error:  # psycopg's text quotes the address
        raise QueryFailed("the address of the database can't be read; check the secret that holds it") from None
    with session:
        session.read_only = not writes
        session.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        try:
            yield session
            if writes:
                session.commit()  # inside the try block, which translates an error of the commit too
        except psycopg.Error as error:
            raise translate_error(error, session) from error


def _password_of(target: str) -> str:
    """Return the password in a connection string; empty if it has none.

    Raises:
        QueryFailed: the password ends early, since a character of it has a meaning in a URI. The rest would pass for
            the host, port or database, which errors quote. Special characters need percent-encoding
            (https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS).
    """
    parts = conninfo_to_dict(target)
    host, port, name = (str(parts.get(part) or "") for part in ("host", "port", "dbname"))
    if "@" in host or "@" in name or (port and not port.replace(",", "").isdecimal()):
        raise QueryFailed(
            "the address of the database can't be read: percent-encode the special characters of its user and password "
            "in the secret that holds it"
        )
    return str(parts.get("password") or "")


def translate_error(error: psycopg.Error, session: "psycopg.Connection[Any]") -> Unreachable | QueryFailed:
    """Translate an error of Postgres by whether the same call may succeed later."""
    text = f"{type(error).__name__}: {service_message(str(error))}"
    if session.broken or (error.sqlstate or "").startswith(_SESSION_ENDED):
        return Unreachable(f"the session with the database ended: {text}; repeat the call")
    remedy = "; grant what it names to the role of the connection" if error.sqlstate == _INSUFFICIENT_PRIVILEGE else ""
    kind = RefusalKind.ACCESS if remedy else RefusalKind.REQUEST
    return QueryFailed(f"the database refused the query: {text}{remedy}", kind=kind)
