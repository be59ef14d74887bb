"""Commands as an operator starts them: the installed `rollback`, and commands that run until they are interrupted."""

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
_END_SECONDS = 180.0  # the machine may be busy
_WITHOUT_CACHE = {"ROLLBACK_CACHE_DIR": f"{os.devnull}/none"}  # the developer's own cache stays as it is


def environment(cloud: Mapping[str, str]) -> dict[str, str]:
    """Join a cloud's variables to this process's, without those of an AWS client; 250 columns wrap no table."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "CDK_", "MOTO_"))}
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    return {**inherited, "PATH": path, "COLUMNS": "250", "NO_COLOR": "1", "TERM": "dumb", **_WITHOUT_CACHE, **cloud}


def run(
    command: Sequence[str], cloud: Mapping[str, str], seconds: float = 180, folder: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder to its end; its `stdout` holds standard output and standard error."""
    return subprocess.run(
        command, cwd=folder, env=environment(cloud), timeout=seconds, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def _accept_sigint() -> None:
    """Accept SIGINT: a shell's background job ignores it, and its children would inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def command_line(pid: int) -> str:
    """Return a process's command line; empty if the process has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


def process_start_ticks(pid: int) -> str:
    """Return a process's start in clock ticks; empty if the process has ended or is a zombie."""
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return rest[18] if state != "Z" else ""


def descendants(pid: int) -> set[tuple[int, str]]:
    """Find the processes that a process started, and those that they started; each with its start in clock ticks."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    parents = {int(child): int(parent) for child, parent in (line.split() for line in listed.splitlines())}
    family = {pid}
    while more := {child for child, parent in parents.items() if parent in family} - family:
        family |= more
    return {(member, born) for member in family - {pid} if (born := process_start_ticks(member))}


class Process:
    """Command that runs in a session of its own until its context ends."""

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

    def line_with(self, text: str, seconds: float = 300, after: int = 0) -> str:
        """Wait for the first line of output with this text, behind the first `after` lines.

        Raises:
            AssertionError: the command ended, or the seconds passed, without such a line; it quotes the output.
        """
        deadline = time.monotonic() + seconds
        while True:
            has_ended = self._process.poll() is not None
            if has_ended:
                self._reader.join()
            line = next((line for line in self.lines[after:] if text in line), None)
            if line is not None:
                return line
            if has_ended or time.monotonic() > deadline:
                raise AssertionError(f"no line with {text!r} from {self._process.args!r}:\n" + "\n".join(self.lines))
            time.sleep(0.1)

    def send_line(self, text: str) -> None:
        """Write a line to the command's input."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{text}\n")
        self._process.stdin.flush()

    def interrupt(self) -> int:
        """Interrupt the whole process group, as Ctrl-C in a terminal does; return the exit code."""
        os.killpg(self._process.pid, signal.SIGINT)
        code = self._process.wait(_END_SECONDS)
        self._reader.join(_END_SECONDS)
        return code

    def members(self) -> list[str]:
        """Command lines of the command and its descendants that still live."""
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
