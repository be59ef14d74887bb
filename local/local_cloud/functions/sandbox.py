"""An execution environment of a Lambda function: a warm subprocess behind its own Lambda Runtime API.

The subprocess sees the deployed bundle, the packages that AWS's Python runtime ships, and the standard library. A
dependency that the bundle lacks is missing here too.
Protocol: Lambda developer guide, "Using the Lambda runtime API for custom runtimes".
"""

import functools
import importlib.util
import json
import queue
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal

from local_cloud.elb import load_balancer
from local_cloud.iam import credentials
from local_cloud.processes import child_processes, owned_folders

_SHIPPED_BY_THE_RUNTIME = (
    "awslambdaric", "runtime_client", "simplejson", "snapshot_restore_py",
    "boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six", "urllib3",
)  # fmt: skip
_BOOTSTRAP = """
import os, sys, threading
threading.Thread(target=lambda: (os.read(0, 1), os._exit(0)), daemon=True).start()  # the cloud has ended
bundle, runtime, handler, private = sys.argv[1:]
def no_route(event, given):  # outside a VPC, packets to a private address are lost
    address = given[1] if event == "socket.connect" else None
    if private and isinstance(address, tuple) and str(address[0]).startswith(private):
        raise TimeoutError("timed out")
sys.addaudithook(no_route)
sys.path[:0] = [bundle, runtime]
from awslambdaric.__main__ import main
main(["awslambdaric", handler])
"""
_INIT_SECONDS = 10.0  # AWS grants the init phase ten seconds of its own


@dataclass(frozen=True)
class FunctionSettings:
    """Settings of an execution environment. Environments with equal settings are interchangeable."""

    arn: str
    name: str
    version: str
    region: str
    role: str
    handler: str
    runtime: str
    memory_mib: int
    timeout_seconds: float
    environment: tuple[tuple[str, str], ...]
    log_group: str
    code_directory: Path
    in_vpc: bool = False


@dataclass(frozen=True)
class InvocationResult:
    """The result of an invocation.

    Attributes:
        payload: the function's JSON answer, or its error document.
        logs: lines for CloudWatch Logs.
    """

    succeeded: bool
    payload: bytes
    logs: list[str] = field(default_factory=list)


@functools.cache
def runtime_directory() -> Path:
    """Return a directory with links to only those packages that AWS's Python runtime ships."""
    directory = owned_folders.make("lambda-runtime")
    for name in _SHIPPED_BY_THE_RUNTIME:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            raise RuntimeError(f"{name} is missing, and Lambda functions need it: install the extra `local`")
        source = Path(spec.origin)
        source = source.parent if source.name == "__init__.py" else source
        (directory / source.name).symlink_to(source)
    return directory


def remove_runtime_directory() -> None:
    """Remove the directory of `runtime_directory`, once no subprocess runs."""
    if runtime_directory.cache_info().currsize:
        owned_folders.remove(runtime_directory())
        runtime_directory.cache_clear()


class _RuntimeApi(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.invocations: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self.outcomes: queue.Queue[tuple[Literal["response", "error", "exit"], bytes]] = queue.Queue()
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore the broken connection of a killed subprocess."""

    def close(self) -> None:
        self.invocations.put(None)
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each call waits about 40 ms for a delayed acknowledgement
    wbufsize = -1
    server: _RuntimeApi

    def log_message(self, *_: Any) -> None:
        """Write no access log: the function's output is the log."""

    def do_GET(self) -> None:
        invocation = self.server.invocations.get()
        if invocation is None:
            self.close_connection = True
            return
        self._answer(
            200,
            invocation["body"],
            {
                "Lambda-Runtime-Aws-Request-Id": invocation["id"],
                "Lambda-Runtime-Deadline-Ms": str(int(invocation["deadline"] * 1000)),
                "Lambda-Runtime-Invoked-Function-Arn": invocation["arn"],
                "Lambda-Runtime-Trace-Id": f"Root=1-{int(time.time()):08x}-{uuid.uuid4().hex[:24]};Sampled=0",
            },
        )

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._answer(202, b'{"status":"OK"}', {})
        self.server.outcomes.put(("response" if self.path.endswith("/response") else "error", body))

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()


class Sandbox:
    """A subprocess that serves one invocation at a time."""

    def __init__(self, settings: FunctionSettings) -> None:
        self.settings = settings
        self.log_stream = f"{time.strftime('%Y/%m/%d', time.gmtime())}/[{settings.version}]{uuid.uuid4().hex}"
        self._warm = False
        self._lines: list[str] = []
        self._api = _RuntimeApi()
        arguments = [str(settings.code_directory), str(runtime_directory()), settings.handler]
        arguments.append("" if settings.in_vpc else load_balancer.PRIVATE_PREFIX)
        self._process = child_processes.start(
            [sys.executable, "-I", "-S", "-u", "-c", _BOOTSTRAP, *arguments],
            cwd=settings.code_directory,
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self._reader = threading.Thread(target=self._read_output, daemon=True)
        self._reader.start()

    @property
    def alive(self) -> bool:
        """Whether the subprocess runs."""
        return self._process.poll() is None

    def _environment(self) -> dict[str, str]:
        settings = self.settings
        role = credentials.role_credentials(settings.role, settings.name)
        return {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "_HANDLER": settings.handler,
            "LAMBDA_TASK_ROOT": str(settings.code_directory),
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{settings.runtime}",
            "AWS_REGION": settings.region,
            "AWS_DEFAULT_REGION": settings.region,
            "AWS_LAMBDA_FUNCTION_NAME": settings.name,
            "AWS_LAMBDA_FUNCTION_VERSION": settings.version,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(settings.memory_mib),
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": settings.log_group,
            "AWS_LAMBDA_LOG_STREAM_NAME": self.log_stream,
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self._api.server_address[1]}",
            "AWS_ENDPOINT_URL": credentials.endpoint(),
            "AWS_EC2_METADATA_DISABLED": "true",
            **role.as_environment(),
            **dict(settings.environment),
        }

    def _read_output(self) -> None:
        with child_processes.output_of(self._process) as output:
            for line in output:
                self._lines.append(line.rstrip("\n"))
        status = self._process.wait()
        self._api.outcomes.put(("exit", _error("Runtime.ExitError", f"Runtime exited with exit status {status}")))

    def invoke(self, body: bytes) -> InvocationResult:
        """Run the function once. Its timeout is in real seconds, since the function does real work."""
        settings, request_id = self.settings, str(uuid.uuid4())
        allowed = settings.timeout_seconds + (0 if self._warm else _INIT_SECONDS)
        invocation = {"id": request_id, "body": body, "deadline": time.time() + allowed, "arn": settings.arn}
        with self._collected_lines() as lines:
            self._api.invocations.put(invocation)
            try:
                kind, payload = self._api.outcomes.get(timeout=allowed)
                self._warm = True
            except queue.Empty:
                message = f"Task timed out after {settings.timeout_seconds:.2f} seconds"
                kind, payload = "exit", _error("Sandbox.Timedout", f"RequestId: {request_id} Error: {message}")
                lines.append(f"{request_id} {message}")
        if kind == "exit":
            self.close()
        start = f"START RequestId: {request_id} Version: {settings.version}"
        return InvocationResult(kind == "response", payload, [start, *lines, f"END RequestId: {request_id}"])

    @contextmanager
    def _collected_lines(self) -> Iterator[list[str]]:
        collected: list[str] = []
        yield collected
        time.sleep(0.002)  # another thread reads the pipe, and may be later than the answer
        collected[:0], self._lines = self._lines, []

    def close(self) -> None:
        """Kill the subprocess and close its Runtime API."""
        if self.alive:
            self._process.kill()
        self._reader.join(timeout=5)
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._api.close()


def _error(kind: str, message: str) -> bytes:
    return json.dumps({"errorType": kind, "errorMessage": message}).encode()
