"""Processes that stand in for a task's container: the application's server, or a command of its image."""

import functools
import importlib.util
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_cloud.ecr.images import PulledImage
from local_cloud.processes import child_processes

_APP = Path(__file__).parents[1] / "app"  # run by path: the container sees no package of ours
_PYTHON = [sys.executable, "-S", "-E"]
_DATABASE_PARTS = frozenset({"reads", "writes", "commands"})
_BASE_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "AWS_EXECUTION_ENV": "AWS_ECS_FARGATE"}


@dataclass(frozen=True)
class Application:
    """Arguments of the server that its image does not decide.

    Attributes:
        shared: file that stands for state which all tasks of the service share.
        after_seconds: the behaviour's `after_seconds`, in real seconds.
    """

    task_id: str
    health_path: str
    shared: Path
    after_seconds: float | None = None


def serve(image: PulledImage, application: Application, environment: Mapping[str, str]) -> "subprocess.Popen[str]":
    """Start the image's server."""
    behaviour = dict(image.behaviour)
    if application.after_seconds is not None:
        behaviour["after_seconds"] = application.after_seconds
    identity = {"version": image.version, "digest": image.digest, "task": application.task_id}
    command = [str(_APP / "application.py"), "--port", "0", "--health-path", application.health_path]
    command += ["--behaviour", json.dumps(behaviour), "--identity", json.dumps(identity)]
    command += ["--shared", str(application.shared)]
    return _start([*command, *_packages(image)], environment)


def run(image: PulledImage, words: Sequence[str], environment: Mapping[str, str]) -> "subprocess.Popen[str]":
    """Start a command of the image in place of its server."""
    command = [str(_APP / "command.py"), "--commands", json.dumps(image.behaviour.get("commands", {}))]
    return _start([*command, *_packages(image), "--", *words], environment)


def _start(command: Sequence[str], environment: Mapping[str, str]) -> "subprocess.Popen[str]":
    """Start a process with the container's variables only, so without the administrator's key."""
    return child_processes.start(
        [*_PYTHON, *command],
        env={**_BASE_ENVIRONMENT, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def _packages(image: PulledImage) -> list[str]:
    """Return arguments that add the database driver, if the image uses a database."""
    return ["--packages", _driver_folder()] if _DATABASE_PARTS & image.behaviour.keys() else []


@functools.cache
def _driver_folder() -> str:
    spec = importlib.util.find_spec("psycopg")
    if spec is None or spec.origin is None:
        raise RuntimeError("psycopg is not installed, and images with a database need it: install psycopg[binary]")
    return str(Path(spec.origin).parents[1])


def exit_code(process: "subprocess.Popen[Any]") -> int:
    """Wait for a process to end, kill it after five seconds, and return its code; 128 + n after signal n."""
    try:
        code = process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        code = process.wait()
    return code if code >= 0 else 128 - code
