"""A signal ends a command as an exception does: its teardown runs, and its children and folders are removed."""

import ast
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from local_cloud.processes import child_processes

ROOT = Path(__file__).parents[3]
BEGIN = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores SIGINT for its background jobs
signal.signal(signal.SIGHUP, signal.SIG_DFL)
from pathlib import Path
from local_cloud.processes import child_processes
from local_cloud.processes import owned_folders
from local_cloud.processes.orderly_exit import orderly_exit
from local_cloud.processes.signals import defer_signals
place = Path(sys.argv[1])
"""
WAITS = """
with orderly_exit():
    owned_folders.make("things", place)
    child = child_processes.start(["sh", "-c", "read _"])
    print(child.pid, flush=True)
    time.sleep(60)
"""
TEARS_DOWN = """
with orderly_exit():
    try:
        print("ready", flush=True)
        time.sleep(60)
    finally:
        with defer_signals():
            print("tearing down", flush=True)
            time.sleep(0.5)
            (place / "torn down").touch()
"""
HANDLES = """
with orderly_exit():
    try:
        print("ready", flush=True)
        time.sleep(60)
    except KeyboardInterrupt:
        (place / "handled").touch()
"""
RUNS = """
with orderly_exit():
    print("ready", flush=True)
    child_processes.run(["sh", "-c", "sleep 60 & echo $! > $0/pid; wait", str(place)])
"""
INTERRUPTED_WHILE_STARTING = """
import os

def interrupt_parent():  # runs in the child before `exec`, while the parent still starts it
    (place / "pid").write_text(str(os.getpid()))
    os.kill(os.getppid(), signal.SIGTERM)
    time.sleep(0.2)

with orderly_exit():
    print("ready", flush=True)
    child_processes.run(["sleep", "60"], preexec_fn=interrupt_parent)
"""
IGNORES = """
signal.signal(signal.SIGHUP, signal.SIG_IGN)
with orderly_exit():
    print("ready", flush=True)
    time.sleep(0.5)
(place / "went on").touch()
"""
FAILS = """
with orderly_exit():
    owned_folders.make("things", place)
    child = child_processes.start(["sh", "-c", "read _"])
    print(child.pid, flush=True)
    sys.stdin.readline()
    raise LookupError("while starting")
"""


class RunningProgram:
    """A running program that has printed its first line."""

    def __init__(self, program: str, place: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", BEGIN + program, str(place)], env={"PYTHONPATH": str(ROOT / "local")},
            text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self.first_line = self.line()

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def end(self, number: int | None = None) -> int:
        if number is not None:
            self.process.send_signal(number)
        self.process.communicate(timeout=20)
        return self.process.returncode


def is_alive(pid: int) -> bool:
    """Return whether the process still runs after five seconds: a process takes a moment to end after a signal."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            if b") Z " in Path(f"/proc/{pid}/stat").read_bytes():
                return False
        except OSError:
            return False
        time.sleep(0.01)
    return True


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_neither_folder_nor_child(number: signal.Signals, tmp_path: Path) -> None:
    program = RunningProgram(WAITS, tmp_path)
    assert list(tmp_path.iterdir())

    assert program.end(number) == 128 + number

    assert not list(tmp_path.iterdir())
    assert not is_alive(int(program.first_line))


def test_an_exception_while_starting_leaves_neither_folder_nor_child(tmp_path: Path) -> None:
    program = RunningProgram(FAILS, tmp_path)
    assert list(tmp_path.iterdir())

    assert program.end() == 1

    assert not list(tmp_path.iterdir())
    assert not is_alive(int(program.first_line))


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_second_signal_does_not_cut_a_teardown_short(second: signal.Signals, tmp_path: Path) -> None:
    program = RunningProgram(TEARS_DOWN, tmp_path)
    program.process.send_signal(signal.SIGTERM)
    assert program.line() == "tearing down"

    assert program.end(second) == 128 + second  # the signal takes effect after the teardown

    assert (tmp_path / "torn down").exists()


def test_a_command_can_handle_a_keyboard_interrupt(tmp_path: Path) -> None:
    assert RunningProgram(HANDLES, tmp_path).end(signal.SIGINT) == 0
    assert (tmp_path / "handled").exists()


def test_the_descendants_of_a_program_end_with_it(tmp_path: Path) -> None:
    program = RunningProgram(RUNS, tmp_path)
    file = tmp_path / "pid"
    deadline = time.monotonic() + 10
    while not (file.exists() and file.read_text().strip()) and time.monotonic() < deadline:
        time.sleep(0.01)

    assert program.end(signal.SIGTERM) == 128 + signal.SIGTERM

    assert not is_alive(int(file.read_text()))


def test_a_process_that_starts_while_a_signal_arrives_is_ended_too(tmp_path: Path) -> None:
    program = RunningProgram(INTERRUPTED_WHILE_STARTING, tmp_path)

    assert program.end() == 128 + signal.SIGTERM

    assert not is_alive(int((tmp_path / "pid").read_text()))


def test_end_all_waits_for_a_process_that_is_starting() -> None:
    """A thread can start a process while the main thread ends all of them."""
    start_event = threading.Event()
    processes: list[subprocess.Popen[str]] = []

    class Slow(subprocess.Popen[str]):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            start_event.set()
            time.sleep(0.3)
            super().__init__(*arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subprocess, "Popen", Slow)
        patch.setattr(child_processes, "_running", set())  # other tests' processes must run on
        thread = threading.Thread(target=lambda: processes.append(child_processes.start(["sh", "-c", "read _"])))
        thread.start()
        start_event.wait()
        child_processes.end_all()
        thread.join()

    (process,) = processes
    assert process.poll() is not None


def test_a_single_server_can_be_ended() -> None:
    first, second = (child_processes.start(["sh", "-c", "read _"]) for _ in range(2))

    child_processes.end(first)

    assert first.returncode is not None
    assert first.stdin is not None
    assert first.stdin.closed
    assert second.poll() is None
    child_processes.end(second)


def test_an_ignored_signal_stays_ignored(tmp_path: Path) -> None:
    assert RunningProgram(IGNORES, tmp_path).end(signal.SIGHUP) == 0
    assert (tmp_path / "went on").exists()


@pytest.mark.parametrize("folder", ["local", "cli"])
def test_only_the_modules_that_clean_up_start_processes_and_make_folders(folder: str) -> None:
    names = {"Popen", "mkdtemp", "TemporaryDirectory", "mkstemp", "NamedTemporaryFile"}
    owners = {"child_processes.py", "owned_folders.py", "detached_process.py"}  # `local down` ends the detached one
    calls = [
        f"{file.relative_to(ROOT)}:{node.lineno}"
        for file in (ROOT / folder).rglob("*.py")
        if file.name not in owners
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in names
    ]
    assert not calls
