"""Commands as a person starts them: the installed `rollback`, and what keeps running until it is told to stop."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
ROLLBACK = str(BIN / "rollback")
_END_SECONDS = 60.0


def environment(cloud: Mapping[str, str]) -> dict[str, str]:
    """This process's variables without any that steer an AWS client, and those of a cloud; tables are not wrapped."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "CDK_", "MOTO_"))}
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    return {**inherited, "PATH": path, "COLUMNS": "250", "NO_COLOR": "1", "TERM": "dumb", **cloud}


def run(command: Sequence[str], cloud: Mapping[str, str], seconds: float = 180) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; `stdout` holds both of its outputs."""
    return subprocess.run(
        command, cwd=ROOT, env=environment(cloud), timeout=seconds, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def _accept_sigint() -> None:
    """A shell starts what runs in the background with SIGINT ignored, and that would be inherited."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def command_line(pid: int) -> str:
    """Nothing of a process that is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


def process_start_ticks(pid: int) -> str:
    """When a process began, in clock ticks; nothing of one that is gone, or only waits to be reaped."""
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return rest[18] if state != "Z" else ""


def descendants(pid: int) -> set[tuple[int, str]]:
    """Processes that a process started, and those that they started."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    parents = {int(child): int(parent) for child, parent in (line.split() for line in listed.splitlines())}
    family = {pid}
    while more := {child for child, parent in parents.items() if parent in family} - family:
        family |= more
    return {(member, born) for member in family - {pid} if (born := process_start_ticks(member))}


class Process:
    """A command that keeps running, in a session of its own; ended when its context is left."""

    def __init__(self, command: Sequence[str], cloud: Mapping[str, str] | None = None) -> None:
        self._process = subprocess.Popen(
            command, cwd=ROOT, env=environment(cloud or {}), start_new_session=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            preexec_fn=_accept_sigint,  # noqa: PLW1509 - it only sets a signal
        )  # fmt: skip
        self._known: set[tuple[int, str]] = {(self._process.pid, process_start_ticks(self._process.pid))}
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def line_with(self, text: str, seconds: float = 300) -> str:
        """Wait for the first line that has the text in it. Raises AssertionError with what was said instead."""
        deadline = time.monotonic() + seconds
        while True:
            over = self._process.poll() is not None
            if over:
                self._reader.join()
            found = next((line for line in self.lines if text in line), None)
            if found is not None:
                return found
            if over or time.monotonic() > deadline:
                raise AssertionError(f"no line with {text!r} from {self._process.args!r}:\n" + "\n".join(self.lines))
            time.sleep(0.1)

    def interrupt(self) -> int:
        """Ctrl-C in a terminal, which reaches the whole group; the exit code."""
        os.killpg(self._process.pid, signal.SIGINT)
        code = self._process.wait(_END_SECONDS)
        self._reader.join(_END_SECONDS)
        return code

    def members(self) -> list[str]:
        """Command lines of the living ones among the command and all that it was seen to have started."""
        self._known |= descendants(self._process.pid)
        return [command_line(pid) for pid, born in self._known if process_start_ticks(pid) == born]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._process.poll() is None:
                self.interrupt()
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            raise
        finally:
            for pipe in (self._process.stdin, self._process.stdout):
                assert pipe is not None
                pipe.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append(line.rstrip("\n"))
