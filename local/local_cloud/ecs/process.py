"""The process that a task's container becomes: the stand-in application, or one command of its image."""

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

_APP = Path(__file__).parents[1] / "app"
_PYTHON = [sys.executable, "-S", "-E"]
_DATABASE_PARTS = frozenset({"reads", "writes", "commands"})
_BASE_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "AWS_EXECUTION_ENV": "AWS_ECS_FARGATE"}


@dataclass(frozen=True)
class Application:
    """What the server needs to know beside its image's description.

    `after_seconds` is the description's, in real seconds; `shared` stands for what the service's tasks have in common.
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
    """Start a command in the image, in the place of its server."""
    command = [str(_APP / "command.py"), "--commands", json.dumps(image.behaviour.get("commands", {}))]
    return _start([*command, *_packages(image), "--", *words], environment)


def _start(command: Sequence[str], environment: Mapping[str, str]) -> "subprocess.Popen[str]":
    """It gets the container's variables, and nothing of ours: not the administrator's key."""
    return child_processes.start(
        [*_PYTHON, *command],
        env={**_BASE_ENVIRONMENT, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def _packages(image: PulledImage) -> list[str]:
    """The driver's folder, for who needs it: all others start with the standard library alone."""
    return ["--packages", _driver_folder()] if _DATABASE_PARTS & image.behaviour.keys() else []


@functools.cache
def _driver_folder() -> str:
    spec = importlib.util.find_spec("psycopg")
    if spec is None or spec.origin is None:
        raise RuntimeError("psycopg is not installed: an image with a database part can't be run")
    return str(Path(spec.origin).parents[1])


def exit_code(process: "subprocess.Popen[Any]") -> int:
    """The code of a process that ends, and is killed if it does not; a signal counts from 128, as in a container."""
    try:
        code = process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        code = process.wait()
    return code if code >= 0 else 128 - code
