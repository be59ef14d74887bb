"""Address of an endpoint: a TCP port that stays when the cluster behind it is stopped or replaced."""

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
    """A port that passes bytes to a Unix socket. Refusals have the words of Neon's proxy.

    Each connection calls `open_socket` with the client's address. The function starts the server if it is stopped, and
    returns its socket. It raises ProxyRefusal to send the client that message. It raises OSError if no server can run
    now, which closes the connection without an answer.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, open_socket: Callable[[str], Path]) -> None:
        super().__init__((HOST, 0), _Session)
        self.open_socket = open_socket
        threading.Thread(target=self.serve_forever, args=(0.05,), name="neon endpoint", daemon=True).start()

    @property
    def address(self) -> str:
        """`host:port` at which the proxy listens."""
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
            answers = threading.Thread(
                target=self._pass_answers, args=(postgres, (parameters or {}).get("user", "")), daemon=True
            )
            answers.start()
            _pump(self.request, postgres)
            answers.join()

    def _pass_answers(self, postgres: socket.socket, role: str) -> None:
        server = Wire(postgres)
        with contextlib.suppress(OSError, ConnectionClosed):
            if self._greet(server, role):
                self.request.sendall(server.take_remaining_bytes())
                _pump(postgres, self.request)
        _end(postgres, self.request)

    def _greet(self, server: Wire, role: str) -> bool:
        """Pass Postgres's messages on until it is ready for a query; return False if it refused the client."""
        while True:
            for message in server.messages():
                if wire.kind_of(message) == b"E":
                    self.request.sendall(wire.error(_client_message(message, role)))
                    return False
                self.request.sendall(message)
                if wire.kind_of(message) == wire.READY_FOR_QUERY:
                    return True


def _client_message(message: bytes, role: str) -> str:
    """Return Postgres's error in the proxy's words: the proxy checks passwords itself."""
    fields = wire.error_fields(message)
    return password_failed(role) if fields.get("C") == _INVALID_PASSWORD else fields.get("M", "")


def _pump(source: socket.socket, target: socket.socket) -> None:
    """Pass bytes on until either side ends, then end both sides."""
    with contextlib.suppress(OSError):
        while data := source.recv(_CHUNK):
            target.sendall(data)
    _end(source, target)


def _end(*sides: socket.socket) -> None:
    for side in sides:
        with contextlib.suppress(OSError):
            side.shutdown(socket.SHUT_RDWR)
