"""The part of the stand-in application that knows a database: one statement that reads, and maybe one that writes.

Runs in the task's process, where only the standard library and the Postgres driver are at hand.
"""

from __future__ import annotations

import threading
from typing import Any

import psycopg

_CONNECT_SECONDS = 30  # a busy machine is slow, and node-postgres would wait for ever


class Database:
    """One session, kept between requests as an application's pool keeps it, and replaced after it was dropped.

    Args:
        reads: run for each request. A wrong schema makes it fail.
        writes: run for a share of the requests, spread evenly, each in a transaction of its own.
        write_share: 0 to 1.
    """

    def __init__(self, uri: str, reads: str = "", writes: str = "", write_share: float = 0.2) -> None:
        self._uri, self._reads, self._writes, self._share = uri, reads, writes, write_share
        self._owed_writes = 0.0
        self._lock = threading.Lock()
        self._session: psycopg.Connection[Any] | None = None

    def serve(self) -> None:
        """What a request does. Raises RuntimeError with Postgres's words, on one line."""
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
        """A session that was dropped while nobody used it is no error of the request: it is run on a new one."""
        kept = self._session is not None
        try:
            self._connected().execute(statement.encode())
        except psycopg.OperationalError:
            if not kept or not self._is_lost():
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
