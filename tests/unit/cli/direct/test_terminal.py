"""A direct rollback outlives its terminal, and says at Ctrl-C what a stop would leave behind."""

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rollback_cli.direct.terminal import StandardTerminal

# Says "one", waits for a file, says "two", and ends with exit code 0, or with that of a stop.
PROGRAM = """
import pathlib, sys, time
from rollback_cli.direct.terminal import StandardTerminal, Stopped
terminal, file = StandardTerminal(), pathlib.Path(sys.argv[1])
print(terminal.log, file=open(sys.argv[2], "w"), flush=True)
try:
    with terminal.outlive(lambda: "The service stays as it is."):
        terminal.say("one")
        while not file.exists():
            time.sleep(0.05)
        terminal.say("two")
except Stopped as stop:
    sys.exit(stop.exit_code)
"""


def wait_until(is_true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 90
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


class Run:
    """The program in a session of its own, whose terminal a test may close."""

    def __init__(self, folder: Path) -> None:
        self.file, self.log_name, self.cache = folder / "go-on", folder / "log-name", folder / "cache"
        self.master, slave = pty.openpty()
        command = [sys.executable, "-c", PROGRAM, str(self.file), str(self.log_name)]
        environment = {**os.environ, "ROLLBACK_CACHE_DIR": str(self.cache)}
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True, env=environment
        )
        os.close(slave)
        self.output = b""
        self.read_until("one")

    def read_until(self, text: str) -> None:
        while text.encode() not in self.output:
            self.output += os.read(self.master, 1000)

    def end(self) -> int:
        try:
            return self.process.wait(90)
        finally:
            self.process.kill()

    def log(self) -> str:
        return Path(self.log_name.read_text().strip()).read_text()


def test_a_run_goes_on_after_its_terminal_is_closed_and_writes_to_its_log(tmp_path: Path) -> None:
    run = Run(tmp_path)
    os.close(run.master)
    run.process.send_signal(signal.SIGHUP)
    wait_until(lambda: any(run.cache.glob("direct-*.log")))
    run.file.touch()
    assert run.end() == 0
    assert run.log() == "two\n"


def test_a_run_whose_output_goes_to_a_file_still_writes_there_after_a_hangup(tmp_path: Path) -> None:
    file, output = tmp_path / "go-on", tmp_path / "output"
    command = [sys.executable, "-c", PROGRAM, str(file), str(tmp_path / "log-name")]
    environment = {**os.environ, "ROLLBACK_CACHE_DIR": str(tmp_path / "cache")}
    with output.open("w") as target:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=target, stderr=target, env=environment)
    wait_until(lambda: output.read_text() == "one\n")
    process.send_signal(signal.SIGHUP)
    file.touch()
    assert process.wait(90) == 0
    assert output.read_text() == "one\ntwo\n"


def test_a_run_goes_on_although_nothing_reads_its_output_any_more(tmp_path: Path) -> None:
    run = Run(tmp_path)
    os.close(run.master)  # no signal: the next write fails
    run.file.touch()
    assert run.end() == 0
    assert run.log() == "two\n"


def test_a_first_ctrl_c_says_what_a_stop_would_leave_and_the_run_goes_on(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.process.send_signal(signal.SIGINT)
    run.read_until("Press Ctrl-C again to stop this process. The service stays as it is.")
    run.file.touch()
    run.read_until("two")
    assert run.end() == 0


@pytest.mark.parametrize(
    ("signals", "code"), [((signal.SIGINT, signal.SIGINT), 130), ((signal.SIGTERM,), 143)], ids=["Ctrl-C twice", "TERM"]
)
def test_a_second_ctrl_c_or_a_termination_stops_the_run(
    tmp_path: Path, signals: tuple[signal.Signals, ...], code: int
) -> None:
    run = Run(tmp_path)
    for number, sent in enumerate(signals):
        run.process.send_signal(sent)
        if number + 1 < len(signals):
            run.read_until("Press Ctrl-C again")
    assert run.end() == code


def test_the_former_handlers_are_back_afterwards() -> None:
    before = signal.getsignal(signal.SIGINT)
    with StandardTerminal().outlive(lambda: ""):
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


def test_a_line_is_read_from_the_terminal_and_a_silent_person_delays_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    master, slave = pty.openpty()
    with os.fdopen(slave) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        terminal = StandardTerminal()
        assert terminal.read_line(0.01) is None
        os.write(master, b"express-api\n")
        assert terminal.read_line(90) == "express-api"
    os.close(master)
