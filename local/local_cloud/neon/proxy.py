"""An endpoint's address: a TCP port that stays the same while the cluster behind it is stopped, moved or replaced."""

import contextlib
import socket
import socketserver
import threading
from collections.abc import Callable
from pathlib import Path

from local_cloud.neon import wire
from local_cloud.neon.faults import ProxyRefusal, password_failed
from local_cloud.neon.wire import ConnectionClosed, Wire

HOST = "127.0.0.1"
_CHUNK = 65536
_INVALID_PASSWORD = "28P01"


class Proxy(socketserver.ThreadingTCPServer):
    """Passes bytes between its port and a Unix socket; refusals are worded as Neon's proxy words them.

    `open_socket` is asked at each connection, with the client's address: it names the socket, after having woken the
    server behind it if need be. It raises ProxyRefusal, whose words the client is told; or OSError if there is no
    server now, then the connection is closed without an answer.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, open_socket: Callable[[str], Path]) -> None:
        super().__init__((HOST, 0), _Session)
        self.open_socket = open_socket
        threading.Thread(target=self.serve_forever, args=(0.05,), name="neon endpoint", daemon=True).start()

    @property
    def address(self) -> str:
        return f"{HOST}:{self.server_address[1]}"

    def close(self) -> None:
        """Stop listening."""
        self.shutdown()
        self.server_close()


class _Session(socketserver.BaseRequestHandler):
    server: Proxy
    request: socket.socket

    def handle(self) -> None:
        client = Wire(self.request)
        with (
            contextlib.suppress(OSError, ConnectionClosed),
            socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as postgres,
        ):
            parameters = client.startup()
            try:
                postgres.connect(str(self.server.open_socket(self.client_address[0])))
            except ProxyRefusal as refusal:
                client.send(wire.error(str(refusal)))
                return
            postgres.sendall(client.startup_packet)
            back = threading.Thread(target=self._back, args=(postgres, (parameters or {}).get("user", "")), daemon=True)
            back.start()
            _pump(self.request, postgres)
            back.join()

    def _back(self, postgres: socket.socket, role: str) -> None:
        server = Wire(postgres)
        with contextlib.suppress(OSError, ConnectionClosed):
            if self._greet(server, role):
                self.request.sendall(server.take_remaining_bytes())
                _pump(postgres, self.request)
        _end(postgres, self.request)

    def _greet(self, server: Wire, role: str) -> bool:
        """Hand on what Postgres says until it is ready for a query; False: it refused, and the client was told."""
        while True:
            for told in server.messages():
                if wire.kind_of(told) == b"E":
                    self.request.sendall(wire.error(_client_message(told, role)))
                    return False
                self.request.sendall(told)
                if wire.kind_of(told) == wire.READY_FOR_QUERY:
                    return True


def _client_message(told: bytes, role: str) -> str:
    """The proxy checks passwords itself, and hands on what Postgres says."""
    fields = wire.error_fields(told)
    return password_failed(role) if fields.get("C") == _INVALID_PASSWORD else fields.get("M", "")


def _pump(source: socket.socket, target: socket.socket) -> None:
    """Until either side ends; then both sides end, as the session can't go on."""
    with contextlib.suppress(OSError):
        while data := source.recv(_CHUNK):
            target.sendall(data)
    _end(source, target)


def _end(*sides: socket.socket) -> None:
    for side in sides:
        with contextlib.suppress(OSError):
            side.shutdown(socket.SHUT_RDWR)
