"""The stand-in application as a process of its own, with its port and its output."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from typing import Any

from local_cloud.app import application


class Running:
    """The application, started as ECS's simulation starts it."""

    def __init__(self, shared: str | None = None, **behaviour: Any) -> None:
        arguments = ["--behaviour", json.dumps(behaviour), "--identity", json.dumps({"version": "v1"})]
        self.start([*arguments, "--health-path", "/up", *(["--shared", shared] if shared else [])])

    def start(self, arguments: list[str], variables: dict[str, str] | None = None) -> None:
        command = [sys.executable, "-S", "-E", application.__file__, *arguments]
        self.process = subprocess.Popen(
            command, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.first_line = self.next_line()

    def next_line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def get(self, path: str) -> tuple[int, dict[str, Any]]:
        connection = http.client.HTTPConnection("127.0.0.1", int(self.first_line.split()[1]), timeout=5)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()
