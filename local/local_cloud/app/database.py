"""The stand-in application's use of a database: a statement that reads, and one that writes.

This runs in the task's process, with the standard library and the Postgres driver alone.
"""

from __future__ import annotations

import threading
from typing import Any

import psycopg

_CONNECT_SECONDS = 30  # long for a busy machine; node-postgres has no limit


class Database:
    """A session, kept between requests as an application's pool does, and replaced when it was dropped.

    Args:
        reads: SQL of each request. A schema that does not fit makes it fail.
        writes: SQL of a share of the requests, spread evenly, each in a transaction of its own.
        write_share: 0 to 1.
    """

    def __init__(self, uri: str, reads: str = "", writes: str = "", write_share: float = 0.2) -> None:
        self._uri, self._reads, self._writes, self._share = uri, reads, writes, write_share
        self._owed_writes = 0.0
        self._lock = threading.Lock()
        self._session: psycopg.Connection[Any] | None = None

    def serve(self) -> None:
        """Run the statements of a request.

        Raises:
            RuntimeError: a statement failed. The text is Postgres's message on one line.
        """
        with self._lock:
            try:
                if self._reads:
                    self._run(self._reads)
                if self._writes and self._is_due():
                    self._run(self._writes)
            except psycopg.Error as error:
                kind = type(error).__name__
                raise RuntimeError(f"{kind}: {' '.join(str(error).split())}") from error

    def _is_due(self) -> bool:
        self._owed_writes += self._share
        if self._owed_writes < 1:
            return False
        self._owed_writes -= 1
        return True

    def _run(self, statement: str) -> None:
        """Run a statement. If the kept session was dropped while it was idle, run it again on a new one."""
        was_kept = self._session is not None
        try:
            self._connected().execute(statement.encode())
        except psycopg.OperationalError:
            if not was_kept or not self._is_lost():
                raise
            self._connected().execute(statement.encode())

    def _is_lost(self) -> bool:
        return self._session is None or self._session.closed

    def _connected(self) -> psycopg.Connection[Any]:
        if self._session is None or self._session.closed:
            self._session = psycopg.connect(
                self._uri, autocommit=True, connect_timeout=_CONNECT_SECONDS, prepare_threshold=None
            )
        return self._session
