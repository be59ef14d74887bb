"""The local Neon: its API on a port of this machine, on real Postgres."""

import json
import os
import shutil
import threading
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from local_cloud.neon import api as neon_api
from local_cloud.neon import postgres as neon_postgres
from local_cloud.neon.branch import NeonApiError
from local_cloud.neon.cluster import Cluster
from local_cloud.neon.faults import Fault, Faults
from local_cloud.neon.project import Limits, Project
from local_cloud.neon.timeline import Timeline
from local_cloud.processes import owned_folders
from local_cloud.processes.signals import defer_signals

ROLE = "app_owner"
_MEMORY, _ROOM_BYTES = "/dev/shm", 2 << 30  # noqa: S108 - `owned_folders` makes a folder in it
_PREFIX = "/api/v2/projects/"


class LocalNeon:
    """Projects of one account with one API key. Their data is in a temporary folder, which `stop` removes.

    An empty project is made once, and copied for each new project.
    """

    def __init__(self, port: int = 0, api_key: str = "local-neon-key") -> None:
        self.api_key = api_key
        self.faults = Faults()
        self.projects: dict[str, Project] = {}
        self._port = port
        self._folder: Path | None = None
        self._empty: Timeline | None = None
        self._server: _Server | None = None

    @property
    def base_url(self) -> str:
        """URL that stands for `https://console.neon.tech/api/v2`.

        Raises:
            RuntimeError: the local Neon does not run.
        """
        if self._server is None:
            raise RuntimeError("the local Neon does not run: start it first")
        return f"http://127.0.0.1:{self._server.server_address[1]}/api/v2"

    def start(self) -> Self:
        """Make an empty database, and serve. Takes one to two seconds. A failure removes all that was made."""
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def _start(self) -> None:
        self._folder = owned_folders.make(
            "neon", _roomy_memory()
        )  # a short name: the path of a Unix socket has at most 107 bytes
        self._folder.chmod(0o755)
        neon_postgres.account().give_ownership(self._folder)
        self._empty = Timeline.initial(self._folder / "empty", ROLE)
        server = _Server(("127.0.0.1", self._port), _Handler)
        server.neon = self
        threading.Thread(target=server.serve_forever, args=(0.05,), name="neon", daemon=True).start()
        self._server = server  # after the thread's start, since `stop` waits for that thread

    def create_project(
        self,
        project_id: str | None = None,
        limits: Limits | None = None,
        prepare: Callable[[Cluster], None] | None = None,
        *,
        logical_replication: bool = False,
    ) -> Project:
        """Make a project with the default branch `main` and its compute, which is idle until the first connection.

        Args:
            project_id: None makes one up.
            limits: those of the plan; None: the defaults.
            prepare: writes data, such as large tables, that precedes the branch's history, so no restore replays it.
            logical_replication: Neon's setting `enable_logical_replication`, which can't be disabled again.
        """
        if self._folder is None or self._empty is None:
            raise RuntimeError("the local Neon does not run: start it first")
        identity = project_id or f"local-{uuid.uuid4().hex[:8]}"
        folder = self._folder / identity
        folder.mkdir()
        neon_postgres.account().give_ownership(folder)
        empty = self._empty
        passwords = empty.credentials.with_new_passwords()
        storage = empty.fork(folder / "main", empty.resolve(None), passwords)
        if prepare is not None:
            storage.prepare(prepare)
        if logical_replication:
            storage.enable_logical_replication()
        self.projects[identity] = Project(identity, folder, storage, limits or Limits())
        return self.projects[identity]

    def delete_project(self, project_id: str) -> None:
        """Stop a project's servers, and remove its data."""
        self.projects.pop(project_id).close()

    def stop(self) -> None:
        """Stop every server, and remove all data."""
        with defer_signals(), ExitStack() as undo:  # in reverse; an exception of one callback does not skip the others
            if self._folder is not None:
                undo.callback(owned_folders.remove, self._folder)
            for identity in tuple(self.projects):
                undo.callback(self.delete_project, identity)
            if self._server is not None:
                undo.callback(self._server.server_close)
                undo.callback(self._server.shutdown)
            self._server = self._folder = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _roomy_memory() -> Path | None:
    """Return a file system in memory, where copies of clusters are four times faster; None: there is no room."""
    if Path(_MEMORY).is_dir() and os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _ROOM_BYTES:
        return Path(_MEMORY)
    return None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    neon: LocalNeon


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def _serve(self) -> None:
        url = urlsplit(self.path)
        project_id, _, rest = url.path.removeprefix(_PREFIX).partition("/")
        path = f"/{rest}" if rest else ""
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.server.neon.faults.next(self.command, path)
        if fault is not None and not fault.is_applied_first:
            self._fail(fault)
            return
        try:
            body = json.loads(content) if content else {}
            status, answer = neon_api.answer(
                self._project(project_id), self.command, path, dict(parse_qsl(url.query)), body
            )
        except NeonApiError as refusal:
            self._refuse(refusal.status, str(refusal))
            return
        except (KeyError, ValueError) as error:
            self._refuse(400, f"the local Neon can't read the request: {error!r}")
            return
        if fault is not None:
            self._fail(fault)
            return
        self._answer(status, answer)

    do_GET = do_POST = do_PATCH = do_DELETE = _serve  # noqa: N815

    def _project(self, project_id: str) -> Project:
        neon = self.server.neon
        if self.headers.get("Authorization") != f"Bearer {neon.api_key}":
            raise NeonApiError(401, "authentication required")
        if project_id not in neon.projects:
            raise NeonApiError(404, "project not found")
        return neon.projects[project_id]

    def _fail(self, fault: Fault) -> None:
        if fault.status is None:
            self.close_connection = True
            return
        self._refuse(fault.status, fault.message, fault.retry_after_seconds)

    def _refuse(self, status: int, message: str, retry_after_seconds: int | None = None) -> None:
        answer = {"request_id": str(uuid.uuid4()), "code": "", "message": message}
        self._answer(status, answer, {} if retry_after_seconds is None else {"Retry-After": str(retry_after_seconds)})

    def _answer(self, status: int, answer: dict[str, Any] | None, headers: dict[str, str] | None = None) -> None:
        content = b"" if answer is None else json.dumps(answer).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if answer is not None:
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (signature fixed by http.server)
        """Write no access log."""
