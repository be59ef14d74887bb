"""The process that stands in for a task's container: an HTTP server that behaves as its image says.

Started as ``python -S -E application.py``; only the standard library is at hand, and the database driver where the
image reads or writes one: then each request but health checks runs that SQL on ``DATABASE_URL``. It prints
``listening PORT`` once it answers, then one ``ERROR`` line per HTTP 500. It exits on SIGTERM and when its standard
input closes, so that no process outlives the embedded cloud.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol


class SharedLock:
    """Stands for what outlives a release until all tasks were stopped: a lock in the database, a poisoned queue.

    It is a file of the service's; ECS's simulation takes it away once the service stands at zero.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def acquire(self) -> None:
        """From now on it is in every task's way."""
        self._path.touch()

    def is_held(self) -> bool:
        """Looked at as a request would."""
        return self._path.exists()


class Behaviour:
    """What the image does: healthy, errors, slow, crash, unhealthy, decays or locks. Durations are real seconds.

    One that decays is healthy until ``after_seconds`` have passed, and then answers nothing but errors. One that locks
    does the same, and fails all other tasks of the service with it: see `SharedLock`.
    """

    def __init__(
        self, description: dict[str, Any], health_path: str = "/health", shared: SharedLock | None = None
    ) -> None:
        self._shared = shared
        self.health_paths = {"/health", health_path}
        self.kind = str(description.get("kind", "healthy"))
        self.rate = float(description.get("rate", 1.0))
        self.seconds = float(description.get("seconds", 2.0))
        self.after_seconds = float(description.get("after_seconds", 0.2))
        self._started = time.monotonic()
        self._accumulated_errors = 0.0
        self._lock = threading.Lock()

    def status_of(self, path: str) -> int:
        """The HTTP status of the next request to ``path``. A share of errors is spread evenly, not drawn by lot."""
        decayed = time.monotonic() - self._started >= self.after_seconds
        if self.kind == "locks" and decayed and self._shared is not None:
            self._shared.acquire()
        if self._shared is not None and self._shared.is_held():
            return 500
        if self.kind in {"decays", "locks"}:
            return 500 if decayed else 200
        if self.is_health(path):
            return 500 if self.kind == "unhealthy" else 200
        if self.kind != "errors":
            return 200
        with self._lock:
            self._accumulated_errors += self.rate
            if self._accumulated_errors < 1:
                return 200
            self._accumulated_errors -= 1
            return 500

    def is_health(self, path: str) -> bool:
        """Whether a request is a health check, which asks nothing of the database."""
        return path in self.health_paths

    def delay_of(self, path: str) -> float:
        """Real seconds that a request to ``path`` waits for its answer."""
        return self.seconds if self.kind == "slow" and not self.is_health(path) else 0.0


class Storage(Protocol):
    """The database as a request sees it."""

    def serve(self) -> None:
        """Raises RuntimeError: a statement failed."""


def _print_line(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


class Handler(BaseHTTPRequestHandler):
    """Answers any path with JSON that names the version."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    behaviour: Behaviour
    database: Storage | None = None
    identity: dict[str, str]

    def _answer(self) -> None:
        path = self.path.split("?", 1)[0]
        length = int(self.headers.get("Content-Length") or 0)
        if length:
            self.rfile.read(length)
        time.sleep(self.behaviour.delay_of(path))
        status, problem = self.behaviour.status_of(path), ""
        if self.database is not None and status < 500 and not self.behaviour.is_health(path):
            try:
                self.database.serve()
            except RuntimeError as error:
                status, problem = 500, f" {error}"
        if status >= 500:
            _print_line(
                f"ERROR {self.command} {path} answered {status} version={self.identity.get('version', '')}{problem}"
            )
        body = json.dumps({"status": "ok" if status < 500 else "error", "path": path, **self.identity}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815 (names fixed by http.server)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (signature fixed by http.server)
        """Keep the access log out of the task's log group."""


class Server(ThreadingHTTPServer):
    """One thread per connection, none waited for at exit."""

    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no error of the application."""


def _exit_when_input_closes() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


def _database(description: dict[str, Any]) -> Storage | None:
    """What the image does with its database, if it has one. A release that lacks its address ends at start."""
    statements = {name: description[name] for name in ("reads", "writes", "write_share") if name in description}
    if not statements:
        return None
    uri = os.environ.get("DATABASE_URL")
    if not uri:
        _print_line("ERROR DATABASE_URL is not set")
        os._exit(1)
    # imports the driver, which is not always there; this file's folder is on the path, the package above it is not
    database: Storage = importlib.import_module("database").Database(uri, **statements)
    return database


def main() -> None:
    """Serve until told to stop, or crash as the behaviour says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free port")
    parser.add_argument("--behaviour", default="{}", help="JSON")
    parser.add_argument("--health-path", default="/health", help="answers 200 unless the image is unhealthy")
    parser.add_argument("--shared", help="file that stands for what all tasks of the service share")
    parser.add_argument("--identity", default="{}", help="JSON, returned in each answer")
    parser.add_argument("--packages", help="folder in which the database driver is")
    arguments = parser.parse_args()
    if arguments.packages:
        sys.path.append(arguments.packages)
    shared = SharedLock(Path(arguments.shared)) if arguments.shared else None
    description = json.loads(arguments.behaviour)
    Handler.behaviour = Behaviour(description, arguments.health_path, shared)
    Handler.identity = json.loads(arguments.identity)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    threading.Thread(target=_exit_when_input_closes, daemon=True).start()
    if Handler.behaviour.kind == "crash":
        time.sleep(Handler.behaviour.after_seconds)
        _print_line("ERROR the application failed at start")
        os._exit(1)
    Handler.database = _database(description)
    server = Server(("127.0.0.1", arguments.port), Handler)
    _print_line(f"listening {server.server_address[1]}")
    server.serve_forever()


if __name__ == "__main__":
    main()
