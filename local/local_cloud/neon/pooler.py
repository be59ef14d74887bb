"""The pooler of a compute: PgBouncer's behaviour, as Neon configures it.

https://github.com/neondatabase/neon/blob/main/compute/etc/pgbouncer.ini:
- Pooling is by transaction.
- A client's `application_name` is passed on; without one it is `pgbouncer`.

https://www.pgbouncer.org/config.html:
- `server_idle_timeout` is 600 s from the last use of a server connection, with or without clients.
- The connection used last is used first.
- `query_wait_timeout` is 120 s.
- Tracked parameters are set again for each client; other startup parameters are refused.
- Transaction pooling does not run `server_reset_query`, so a session's settings stay on the server connection.

PgBouncer runs inside the compute, so the clients' connections end when the compute stops.

Differences from PgBouncer:
- The password is requested in clear text.
- Cancel requests are ignored.
- Prepared statements do not follow a client to another server connection.
- Sessions have no `client_addr` (with Neon it is 127.0.0.1).
"""

import contextlib
import os
import select
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg import pq, sql

from local_cloud.neon import wire
from local_cloud.neon.faults import UNPOOLED, ProxyRefusal, password_failed
from local_cloud.neon.wire import ConnectionClosed, Wire

HOST = "127.0.0.1"
SERVER_IDLE_SECONDS = 600.0
_POOL_SIZE = 20  # Neon: 0.9 of max_connections for each role and database; this server has 40 in all
_QUERY_WAIT_SECONDS = 120.0
_POLL_SECONDS = 0.05
_DEFAULT_APPLICATION = "pgbouncer"
_TRACKED = ("client_encoding", "DateStyle", "TimeZone", "standard_conforming_strings", "application_name")
_IGNORED = frozenset({"extra_float_digits"})
_REPORTED = (
    *_TRACKED, "server_version", "server_encoding", "is_superuser", "session_authorization", "IntervalStyle",
    "integer_datetimes", "in_hot_standby", "default_transaction_read_only", "search_path",
)  # fmt: skip
_BY_LOWER_CASE = {name.lower(): name for name in _TRACKED}


@dataclass(frozen=True)
class Login:
    """Role, database and password. Clients with the same login share server connections."""

    role: str
    database: str
    password: str


class Server:
    """A connection to Postgres: libpq logs in, and its socket carries the messages from then on."""

    def __init__(self, socket_path: Path, login: Login, application: str) -> None:
        """Log in.

        Raises:
            psycopg.OperationalError: Postgres refused, with its message.
        """
        port = socket_path.suffix.removeprefix(".")
        conninfo = psycopg.conninfo.make_conninfo(
            host=str(socket_path.parent), port=port, user=login.role, dbname=login.database,
            password=login.password, application_name=application,
        )  # fmt: skip
        self._libpq = pq.PGconn.connect(conninfo.encode())
        if self._libpq.status != pq.ConnStatus.OK:
            message = self._libpq.get_error_message()
            self._libpq.finish()
            raise psycopg.OperationalError(message)
        self.login = login
        self.parameters = {name: value for name in _REPORTED if (value := self._reported(name)) is not None}
        self.wire = Wire(socket.socket(fileno=os.dup(self._libpq.socket)))
        self.wire.socket.setblocking(True)
        self.idle_since = time.monotonic()

    @property
    def is_alive(self) -> bool:
        """Whether the idle connection is open. Postgres sends to an idle connection only before it closes it."""
        return not select.select([self.wire.socket], [], [], 0)[0]

    def close(self) -> None:
        """Close the connection."""
        self.wire.socket.close()
        self._libpq.finish()

    def set(self, parameters: dict[str, str]) -> None:
        """Set the tracked parameters to the client's values.

        Raises:
            ConnectionClosed: Postgres has closed the connection.
        """
        different = {n: v for n, v in parameters.items() if self.parameters.get(n) != v}
        if not different:
            return
        self.wire.send(
            wire.simple_query("".join(f"SET {n}={sql.Literal(v).as_string()};" for n, v in different.items()))
        )
        while True:
            for message in self.wire.messages():
                if wire.kind_of(message) == wire.PARAMETER_STATUS:
                    self.parameters.update([wire.parameter(message)])
                if wire.kind_of(message) == wire.READY_FOR_QUERY:
                    return

    def _reported(self, name: str) -> str | None:
        value = self._libpq.parameter_status(name.encode())
        return None if value is None else value.decode()


@dataclass
class Client:
    """A client that has logged in.

    Attributes:
        parameters: the tracked parameters that the client has set.
    """

    wire: Wire
    login: Login
    address: str
    parameters: dict[str, str] = field(default_factory=dict)


class Pooler(socketserver.ThreadingTCPServer):
    """The pooler's port. Thread-safe. `open_socket` is that of `proxy.Proxy`.

    Attributes:
        server_idle_seconds: how long a server connection stays open after its last use.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, open_socket: Callable[[str], Path], server_idle_seconds: float = SERVER_IDLE_SECONDS) -> None:
        super().__init__((HOST, 0), _Session)
        self.server_idle_seconds = server_idle_seconds
        self._open_socket = open_socket
        self._changed = threading.Condition()
        self._idle: list[Server] = []  # the last item was used last
        self._used: list[Server] = []
        self._opening: list[Login] = []
        self._clients: set[socket.socket] = set()
        self._reaper: threading.Thread | None = None
        threading.Thread(target=self.serve_forever, args=(_POLL_SECONDS,), name="neon pooler", daemon=True).start()

    @property
    def port(self) -> int:
        """Port on which the pooler listens."""
        return int(self.server_address[1])

    def drop(self) -> None:
        """End all connections of servers and of clients, since the compute stops."""
        with self._changed:
            for connection in (*self._clients, *(server.wire.socket for server in self._used)):
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            for server in self._idle:
                server.close()
            self._idle.clear()

    def close(self) -> None:
        """End all connections, and stop listening."""
        self.shutdown()
        self.server_close()
        self.drop()

    @contextlib.contextmanager
    def track_client(self, client: socket.socket) -> Iterator[None]:
        """Let `drop` end this client's connection until the context ends."""
        with self._changed:
            self._clients.add(client)
        try:
            yield
        finally:
            with self._changed:
                self._clients.discard(client)

    def log_in(self, client: Client) -> dict[str, str]:
        """Check a client's login; return the parameters of the answer.

        Raises:
            psycopg.OperationalError: Postgres refused, with its message.
            ProxyRefusal: the proxy refuses the client.
            OSError: the compute has no server now.
        """
        server = self.acquire(client)
        self.release(server)
        return {**server.parameters, **client.parameters}

    def acquire(self, client: Client) -> Server:
        """Return a server connection for one transaction.

        Raises:
            TimeoutError: no connection became free.
            psycopg.OperationalError, ProxyRefusal, OSError: as `log_in`.
        """
        deadline = time.monotonic() + _QUERY_WAIT_SECONDS
        while True:
            with self._changed:
                idle = self._pop_idle_server(client.login)
                if idle is not None:
                    self._used.append(idle)
                    return idle
                if self._size(client.login) < _POOL_SIZE:
                    self._opening.append(client.login)
                    break
                if not self._changed.wait(max(0.0, deadline - time.monotonic())):
                    raise TimeoutError("query_wait_timeout")
        return self._open(client)

    def release(self, server: Server) -> None:
        """Keep a server connection for the next transaction, for at most `server_idle_seconds`."""
        with self._changed:
            self._used.remove(server)
            server.idle_since = time.monotonic()
            self._idle.append(server)
            self._changed.notify_all()
            if self._reaper is None:
                self._reaper = threading.Thread(target=self._close_idle_servers, name="neon pooler idle", daemon=True)
                self._reaper.start()

    def discard(self, server: Server) -> None:
        """Close a server connection whose transaction was left open, or which has ended."""
        with self._changed:
            self._used.remove(server)
            server.close()
            self._changed.notify_all()

    def _open(self, client: Client) -> Server:
        """Open another server connection, which `_opening` already counts."""
        opened: Server | None = None
        try:
            application = client.parameters.get("application_name", _DEFAULT_APPLICATION)
            opened = Server(self._open_socket(client.address), client.login, application)
            return opened
        finally:
            with self._changed:
                self._opening.remove(client.login)
                if opened is not None:
                    self._used.append(opened)
                self._changed.notify_all()

    def _size(self, login: Login) -> int:
        return self._opening.count(login) + sum(server.login == login for server in self._used)

    def _pop_idle_server(self, login: Login) -> Server | None:
        for server in reversed([server for server in self._idle if server.login == login]):
            self._idle.remove(server)
            if server.is_alive:
                return server
            server.close()
        return None

    def _close_idle_servers(self) -> None:
        """Close connections that have been idle for too long; end when none is idle."""
        while True:
            with self._changed:
                oldest = time.monotonic() - self.server_idle_seconds
                for server in [server for server in self._idle if server.idle_since <= oldest or not server.is_alive]:
                    self._idle.remove(server)
                    server.close()
                if not self._idle:
                    self._reaper = None
                    return
            time.sleep(_POLL_SECONDS)


class _Session(socketserver.BaseRequestHandler):
    server: Pooler
    request: socket.socket

    def handle(self) -> None:
        with contextlib.suppress(OSError, ConnectionClosed), self.server.track_client(self.request):
            client = self._log_client_in(Wire(self.request))
            while client is not None:
                arrived = client.wire.messages()
                if not arrived:
                    continue
                if wire.kind_of(arrived[0]) == wire.TERMINATE:
                    return
                self._run_transaction(client, arrived)

    def _log_client_in(self, connection: Wire) -> Client | None:
        parameters = connection.startup()
        if parameters is None:
            return None
        problem = _unsupported(parameters)
        if problem is not None:
            connection.send(wire.error(problem + UNPOOLED))
            return None
        role = parameters["user"]
        login = Login(role, parameters.get("database", role), connection.password())
        tracked = {_BY_LOWER_CASE[n.lower()]: v for n, v in parameters.items() if n.lower() in _BY_LOWER_CASE}
        client = Client(
            connection, login, self.client_address[0], {"application_name": _DEFAULT_APPLICATION, **tracked}
        )
        try:
            connection.send(wire.welcome(self.server.log_in(client)))
        except ProxyRefusal as refusal:
            connection.send(wire.error(str(refusal)))
            return None
        except psycopg.OperationalError as failure:
            connection.send(wire.error(_client_message(str(failure), role)))
            return None
        return client

    def _run_transaction(self, client: Client, arrived: list[bytes]) -> None:
        """Give the client a server connection until its transaction ends.

        Raises:
            ConnectionClosed: the client or the server has closed its connection.
        """
        try:
            server = self.server.acquire(client)
        except (ProxyRefusal, psycopg.OperationalError, TimeoutError) as failure:
            client.wire.send(wire.error(_client_message(str(failure), client.login.role)))
            raise ConnectionClosed from failure
        try:
            server.set(client.parameters)
            last = _Transaction(client, server).run(arrived)
        except _ServerConnectionClosed as ended:
            self.server.discard(server)
            client.wire.send(wire.error("server conn crashed?"))  # PgBouncer's message
            raise ConnectionClosed from ended
        except BaseException:
            self.server.discard(server)
            raise
        self.server.release(server)  # before the client gets the last messages, as in PgBouncer's single thread
        client.wire.send(*last)


class _ServerConnectionClosed(Exception):
    """Postgres has closed the connection within a transaction."""


class _Transaction:
    """Messages between a client and its server connection, during one transaction."""

    def __init__(self, client: Client, server: Server) -> None:
        self._client, self._server = client, server
        self._awaited = 0  # number of ReadyForQuery still to come
        self._synchronised = True
        self._over = False

    def run(self, arrived: list[bytes]) -> list[bytes]:
        """Pass messages on until the transaction ends; return the last ones, which the client has yet to get.

        Raises:
            ConnectionClosed: the client has closed the connection.
            _ServerConnectionClosed: Postgres has.
        """
        last: list[bytes] = []
        self._to_server(arrived)
        of_client, of_server = self._client.wire.socket, self._server.wire.socket
        while not self._over:
            ready, _, _ = select.select([of_client, of_server], [], [])
            if of_server in ready:
                last = self._to_client()
            elif of_client in ready:
                self._to_server(self._client.wire.messages())
        return last

    def _to_server(self, messages: list[bytes]) -> None:
        for message in messages:
            if wire.kind_of(message) == wire.TERMINATE:
                raise ConnectionClosed
            self._synchronised = wire.is_answered_with_ready(message)
            self._awaited += self._synchronised
        self._server.wire.send(*messages)

    def _to_client(self) -> list[bytes]:
        """Pass messages on to the client; return them instead if they end the transaction."""
        try:
            messages = self._server.wire.messages()
        except (ConnectionClosed, OSError) as error:
            raise _ServerConnectionClosed from error
        for message in messages:
            if wire.kind_of(message) == wire.PARAMETER_STATUS:
                self._record_parameter(*wire.parameter(message))
            if wire.kind_of(message) == wire.READY_FOR_QUERY:
                self._awaited -= 1
                is_last = self._awaited == 0 and self._synchronised
                self._over = is_last and wire.is_outside_transaction(message)
        if self._over:
            return messages
        self._client.wire.send(*messages)
        return []

    def _record_parameter(self, name: str, value: str) -> None:
        self._server.parameters[name] = value
        if name in _TRACKED:
            self._client.parameters[name] = value


def _unsupported(parameters: dict[str, str]) -> str | None:
    """Return PgBouncer's refusal of a startup parameter; None if it accepts all."""
    for option in parameters.get("options", "").split():
        name, assigned, _ = option.removeprefix("-c").removeprefix("--").partition("=")
        if assigned and name.lower() not in _BY_LOWER_CASE and name not in _IGNORED:
            return f"unsupported startup parameter in options: {name}"
    supported_names = {"user", "database", "options", *_BY_LOWER_CASE, *_IGNORED}
    unknown = next((n for n in parameters if n.lower() not in supported_names and not n.startswith("_pq_.")), None)
    return None if unknown is None else f"unsupported startup parameter: {unknown}"


def _client_message(message: str, role: str) -> str:
    """Return Postgres's message to libpq in the proxy's words."""
    lines = message.partition("FATAL:")[2].strip().splitlines()
    first = lines[0] if lines else message
    return password_failed(role) if first.startswith("password authentication failed") else first
