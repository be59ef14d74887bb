"""An endpoint's address: a TCP port that stays the same while the cluster behind it is stopped, moved or replaced."""

import contextlib
import socket
import socketserver
import threading
from collections.abc import Callable
from pathlib import Path

HOST = "127.0.0.1"
_CHUNK = 65536


class Proxy(socketserver.ThreadingTCPServer):
    """Passes bytes between its port and a Unix socket.

    `open_socket` is asked at each connection: it names the socket, after having woken the server behind it if need be,
    or raises OSError if there is none now; then the connection is closed without an answer.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, open_socket: Callable[[], Path]) -> None:
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
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as postgres:
            postgres.connect(str(self.server.open_socket()))
            back = threading.Thread(target=_pump, args=(postgres, self.request), daemon=True)
            back.start()
            _pump(self.request, postgres)
            back.join()


def _pump(source: socket.socket, target: socket.socket) -> None:
    """Until either side ends; then both sides end, as the session can't go on."""
    with contextlib.suppress(OSError):
        while data := source.recv(_CHUNK):
            target.sendall(data)
    for side in (source, target):
        with contextlib.suppress(OSError):
            side.shutdown(socket.SHUT_RDWR)
