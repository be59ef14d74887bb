"""Ends of a command that runs the embedded cloud: no folder and no process of the command stays behind."""

import fcntl
import os
import signal
import subprocess
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from e2e.processes import ROLLBACK, ROOT, command_line, descendants, environment, process_start_ticks

UP = (ROLLBACK, "local", "up", "--deploy", "--no-traffic", "--port", "0")
DEMO = (ROLLBACK, "demo")
WITH_DATABASE = (*DEMO, "--scenario", "bad-migration")
MEMORY = Path("/dev/shm")  # noqa: S108 - the local Neon keeps its data here
END_SECONDS = 30.0
# Parts of the command's output that show its progress.
CLOUD, RUNNING = "embedded cloud on", "rollback status production"


class Command:
    """Command in a session and a temporary directory of its own, with its output in a file."""

    def __init__(self, words: Sequence[str], folder: Path, terminal: int | None = None) -> None:
        """Start the command; `terminal` is the file descriptor of its controlling terminal."""
        self.temporary, self._output = folder / "tmp", folder / "output"
        self.temporary.mkdir(exist_ok=True)
        self.record = folder / "record"
        variables = {"TMPDIR": str(self.temporary), "ROLLBACK_LOCAL_FOLDER": str(self.record)}
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                words, cwd=ROOT, env=environment(variables), start_new_session=True,
                stdin=terminal, stdout=output, stderr=output,
                preexec_fn=_prepare_child(terminal),  # noqa: PLW1509 - it only makes system calls
            )  # fmt: skip
        self._started: set[tuple[int, str]] = set()

    @property
    def output(self) -> str:
        return self._output.read_text()

    def wait_for(self, text: str) -> None:
        """Wait until the command's output has this text."""
        self._wait(lambda: text in self.output)

    def wait_for_process(self, name: str) -> None:
        """Wait until the command has a descendant with this name in its command line."""
        self._wait(lambda: any(name in command_line(pid) for pid, _ in self._descendants()))

    def _wait(self, is_so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 120
        while not is_so():
            assert self.process.poll() is None, self.output
            assert time.monotonic() < deadline, self.output
            time.sleep(0.02)

    def _descendants(self) -> set[tuple[int, str]]:
        processes = descendants(self.process.pid)
        self._started |= processes
        return processes

    def end(self, *signals: int) -> int:
        """Send the signals, 20 ms apart, and return the exit code."""
        self._descendants()
        for number in signals:
            self.process.send_signal(number)
            time.sleep(0.02)
        return self.process.wait(END_SECONDS)

    def left_behind(self) -> list[str]:
        """Folders in temporary directories, and processes that still live after five seconds."""
        folders = [
            *self.temporary.iterdir(),
            *self.record.glob("*"),
            *MEMORY.glob(f"*rollback-local-{self.process.pid}-*"),
        ]
        deadline = time.monotonic() + 5
        while (
            living := [pid for pid, born in self._started if process_start_ticks(pid) == born]
        ) and time.monotonic() < deadline:
            time.sleep(0.05)
        return [*map(str, folders), *map(command_line, living)]


def _prepare_child(terminal: int | None) -> Callable[[], None]:
    def prepare() -> None:
        # A shell's background job ignores these, and its children would inherit that.
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        if terminal is not None:
            fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)

    return prepare


@contextmanager
def running(words: Sequence[str], folder: Path, terminal: int | None = None) -> Iterator[Command]:
    command = Command(words, folder, terminal)
    try:
        yield command
    finally:
        command.process.kill()
        command.process.wait()


@pytest.mark.e2e
def test_a_running_cloud_leaves_nothing_behind_when_it_is_terminated(tmp_path: Path) -> None:
    with running(UP, tmp_path) as up:
        up.wait_for(RUNNING)
        up.wait_for_process("application.py")
        up.wait_for_process("awslambdaric")
        assert list(up.temporary.iterdir())

        assert up.end(signal.SIGTERM) == 128 + signal.SIGTERM, up.output

        assert not up.left_behind()
        assert "Traceback" not in up.output


@pytest.mark.e2e
def test_a_starting_cloud_leaves_nothing_behind_when_several_signals_end_it(tmp_path: Path) -> None:
    with running(WITH_DATABASE, tmp_path) as demo:
        demo.wait_for_process("postgres -D")

        assert demo.end(signal.SIGINT, signal.SIGTERM, signal.SIGINT, signal.SIGHUP) > 128, demo.output

        assert not demo.left_behind()


@pytest.mark.e2e
def test_a_cloud_leaves_nothing_behind_when_its_terminal_is_closed(tmp_path: Path) -> None:
    our_end, terminal = os.openpty()
    with running(DEMO, tmp_path, terminal=terminal) as demo:
        os.close(terminal)
        demo.wait_for(CLOUD)

        os.close(our_end)

        assert demo.process.wait(END_SECONDS) == 128 + signal.SIGHUP, demo.output
        assert not demo.left_behind()


@pytest.mark.e2e
def test_a_starting_cloud_removes_the_folders_of_a_killed_cloud(tmp_path: Path) -> None:
    with running(DEMO, tmp_path) as killed:
        killed.wait_for(CLOUD)
        assert killed.end(signal.SIGKILL) == -signal.SIGKILL
        (folder,) = killed.temporary.iterdir()
        with running(DEMO, tmp_path) as living:
            living.wait_for(CLOUD)

            assert not folder.exists()
            living.end(signal.SIGTERM)
            assert not living.left_behind()
