"""The pooler of a compute: PgBouncer's behaviour, as Neon configures it.

- https://github.com/neondatabase/neon/blob/main/compute/etc/pgbouncer.ini: transaction pooling; a client's
  `application_name` is handed on, `pgbouncer` without one.
- https://www.pgbouncer.org/config.html: `server_idle_timeout` 600 s, counted from the last use of a server connection,
  whether or not clients are there; the connection used last is used first; `query_wait_timeout` 120 s; tracked
  parameters are set again for each client; other startup parameters are refused. `server_reset_query` is not run in
  transaction pooling, so what a session sets stays on the server connection, for any client.
- PgBouncer runs inside the compute: when that stops, the clients' connections end with it.

Differences: the password is asked for in clear text, requests to cancel are ignored, prepared statements are not
followed from one server connection to another, and sessions have no `client_addr` (with Neon 127.0.0.1).
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
_POOL_SIZE = 20  # Neon: 0.9 of max_connections for each role and database; ours has 40 in all
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
    """Server connections are shared by all clients that log in alike."""

    role: str
    database: str
    password: str


class Server:
    """One connection to Postgres: libpq logs in, and its socket is used from then on."""

    def __init__(self, socket_path: Path, login: Login, application: str) -> None:
        """Raises psycopg.OperationalError with Postgres's words."""
        port = socket_path.suffix.removeprefix(".")
        of = psycopg.conninfo.make_conninfo(
            host=str(socket_path.parent), port=port, user=login.role, dbname=login.database,
            password=login.password, application_name=application,
        )  # fmt: skip
        self._libpq = pq.PGconn.connect(of.encode())
        if self._libpq.status != pq.ConnStatus.OK:
            told = self._libpq.get_error_message()
            self._libpq.finish()
            raise psycopg.OperationalError(told)
        self.login = login
        self.parameters = {name: value for name in _REPORTED if (value := self._reported(name)) is not None}
        self.wire = Wire(socket.socket(fileno=os.dup(self._libpq.socket)))
        self.wire.socket.setblocking(True)
        self.idle_since = time.monotonic()

    @property
    def is_alive(self) -> bool:
        """An idle server says nothing: what is to be read is a farewell."""
        return not select.select([self.wire.socket], [], [], 0)[0]

    def close(self) -> None:
        self.wire.socket.close()
        self._libpq.finish()

    def set(self, wanted: dict[str, str]) -> None:
        """Make the tracked parameters the client's. Raises Ended."""
        different = {n: v for n, v in wanted.items() if self.parameters.get(n) != v}
        if not different:
            return
        self.wire.send(
            wire.simple_query("".join(f"SET {n}={sql.Literal(v).as_string()};" for n, v in different.items()))
        )
        while True:
            for told in self.wire.messages():
                if wire.kind_of(told) == wire.PARAMETER_STATUS:
                    self.parameters.update([wire.parameter(told)])
                if wire.kind_of(told) == wire.READY_FOR_QUERY:
                    return

    def _reported(self, name: str) -> str | None:
        value = self._libpq.parameter_status(name.encode())
        return None if value is None else value.decode()


@dataclass
class Client:
    """A client that has logged in. `parameters`: the tracked ones, as it has set them."""

    wire: Wire
    login: Login
    address: str
    parameters: dict[str, str] = field(default_factory=dict)


class Pooler(socketserver.ThreadingTCPServer):
    """Thread-safe. `open_socket` as for `neon_proxy.Proxy`.

    Attributes:
        server_idle_seconds: how long a server connection is kept after its last use.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, open_socket: Callable[[str], Path], server_idle_seconds: float = SERVER_IDLE_SECONDS) -> None:
        super().__init__((HOST, 0), _Session)
        self.server_idle_seconds = server_idle_seconds
        self._open_socket = open_socket
        self._changed = threading.Condition()
        self._idle: list[Server] = []  # the one used last is the last
        self._used: list[Server] = []
        self._opening: list[Login] = []
        self._clients: set[socket.socket] = set()
        self._reaper: threading.Thread | None = None
        threading.Thread(target=self.serve_forever, args=(_POLL_SECONDS,), name="neon pooler", daemon=True).start()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def drop(self) -> None:
        """End all connections, of servers and of clients: the compute stops."""
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
        """Know of the client while it is served."""
        with self._changed:
            self._clients.add(client)
        try:
            yield
        finally:
            with self._changed:
                self._clients.discard(client)

    def log_in(self, client: Client) -> dict[str, str]:
        """The parameters to welcome a client with.

        Raises:
            psycopg.OperationalError: Postgres refused, with its words.
            OSError: there is no server now.
        """
        server = self.acquire(client)
        self.release(server)
        return {**server.parameters, **client.parameters}

    def acquire(self, client: Client) -> Server:
        """A server connection for one transaction. Raises as `log_in`; TimeoutError if none becomes free."""
        until = time.monotonic() + _QUERY_WAIT_SECONDS
        while True:
            with self._changed:
                found = self._pop_idle_server(client.login)
                if found is not None:
                    self._used.append(found)
                    return found
                if self._size(client.login) < _POOL_SIZE:
                    self._opening.append(client.login)
                    break
                if not self._changed.wait(max(0.0, until - time.monotonic())):
                    raise TimeoutError("query_wait_timeout")
        return self._open(client)

    def release(self, server: Server) -> None:
        """Keep it for whoever comes next, until nobody has for `server_idle_seconds`."""
        with self._changed:
            self._used.remove(server)
            server.idle_since = time.monotonic()
            self._idle.append(server)
            self._changed.notify_all()
            if self._reaper is None:
                self._reaper = threading.Thread(target=self._close_idle_servers, name="neon pooler idle", daemon=True)
                self._reaper.start()

    def discard(self, server: Server) -> None:
        """Close it: its transaction was left open, or it has ended."""
        with self._changed:
            self._used.remove(server)
            server.close()
            self._changed.notify_all()

    def _open(self, client: Client) -> Server:
        """One more server connection. Its place was taken in `_opening`."""
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
        """Close what has been idle for too long; ends when nothing is idle."""
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
        refused = _unsupported(parameters)
        if refused is not None:
            connection.send(wire.error(refused + UNPOOLED))
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
        """Give the client a server connection until its transaction is over. Raises Ended if either side has ended."""
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
            client.wire.send(wire.error("server conn crashed?"))  # PgBouncer's words
            raise ConnectionClosed from ended
        except BaseException:
            self.server.discard(server)
            raise
        self.server.release(server)  # before the client hears of the end, as PgBouncer does in one thread
        client.wire.send(*last)


class _ServerConnectionClosed(Exception):
    """Postgres has closed the connection within a transaction."""


class _Transaction:
    """Messages between a client and the server connection that it has for now."""

    def __init__(self, client: Client, server: Server) -> None:
        self._client, self._server = client, server
        self._awaited = 0  # how many ReadyForQuery are still to come
        self._synchronised = True
        self._over = False

    def run(self, arrived: list[bytes]) -> list[bytes]:
        """What the client is still to be told. Raises Ended if the client has gone, _ServerConnectionClosed if the
        server has."""
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
        for one in messages:
            if wire.kind_of(one) == wire.TERMINATE:
                raise ConnectionClosed
            self._synchronised = wire.is_answered_with_ready(one)
            self._awaited += self._synchronised
        self._server.wire.send(*messages)

    def _to_client(self) -> list[bytes]:
        """Hand on what has come; the end of the transaction is returned instead."""
        try:
            messages = self._server.wire.messages()
        except (ConnectionClosed, OSError) as error:
            raise _ServerConnectionClosed from error
        for one in messages:
            if wire.kind_of(one) == wire.PARAMETER_STATUS:
                self._record_parameter(*wire.parameter(one))
            if wire.kind_of(one) == wire.READY_FOR_QUERY:
                self._awaited -= 1
                is_last = self._awaited == 0 and self._synchronised
                self._over = is_last and wire.is_outside_transaction(one)
        if self._over:
            return messages
        self._client.wire.send(*messages)
        return []

    def _record_parameter(self, name: str, value: str) -> None:
        self._server.parameters[name] = value
        if name in _TRACKED:
            self._client.parameters[name] = value


def _unsupported(parameters: dict[str, str]) -> str | None:
    """PgBouncer's refusal of a startup parameter, if it refuses one."""
    for option in parameters.get("options", "").split():
        name, assigned, _ = option.removeprefix("-c").removeprefix("--").partition("=")
        if assigned and name.lower() not in _BY_LOWER_CASE and name not in _IGNORED:
            return f"unsupported startup parameter in options: {name}"
    known = {"user", "database", "options", *_BY_LOWER_CASE, *_IGNORED}
    unknown = next((n for n in parameters if n.lower() not in known and not n.startswith("_pq_.")), None)
    return None if unknown is None else f"unsupported startup parameter: {unknown}"


def _client_message(told: str, role: str) -> str:
    """Postgres's words to libpq, as the proxy hands them on."""
    lines = told.partition("FATAL:")[2].strip().splitlines()
    words = lines[0] if lines else told
    return password_failed(role) if words.startswith("password authentication failed") else words
