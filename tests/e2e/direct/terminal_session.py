"""The installed `rollback` at a terminal of its own, which a test types at, interrupts and closes."""

import os
import pty
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from e2e.processes import ROLLBACK, ROOT, environment

_SECONDS = 300.0


class TerminalSession:
    """A command whose standard input, output and errors are a terminal."""

    def __init__(self, words: str, cloud: Mapping[str, str]) -> None:
        self._master, slave = pty.openpty()
        self._process = subprocess.Popen(
            [ROLLBACK, *shlex.split(words)], cwd=ROOT, env=environment(cloud), stdin=slave, stdout=slave, stderr=slave,
            start_new_session=True,
        )  # fmt: skip
        os.close(slave)
        self.output = ""
        self._is_closed = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_for(self, text: str) -> None:
        """Wait until the command has printed this text.

        Raises:
            AssertionError: the command ended, or the time passed, without this text; it quotes the output.
        """
        deadline = time.monotonic() + _SECONDS
        while text not in self.output:
            has_ended = self._process.poll() is not None
            if has_ended:
                self._reader.join(_SECONDS)
            if (has_ended and text not in self.output) or time.monotonic() > deadline:
                raise AssertionError(f"no {text!r} in:\n{self.output}")
            time.sleep(0.1)

    def type_line(self, line: str) -> None:
        """Type a line and press Enter."""
        os.write(self._master, f"{line}\n".encode())

    def interrupt(self) -> None:
        """Send what Ctrl-C sends."""
        self._process.send_signal(signal.SIGINT)

    def hang_up(self) -> None:
        """Close the terminal, and send what the kernel sends to the leader of its session."""
        self._is_closed = True
        self._process.send_signal(signal.SIGHUP)

    def end(self) -> int:
        """Wait for the end of the command, and return its exit code."""
        code = self._process.wait(_SECONDS)
        if not self._is_closed:
            self._reader.join(_SECONDS)
        return code

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(_SECONDS)
        os.close(self._master)

    def _read(self) -> None:
        while True:
            try:
                read = os.read(self._master, 4096)
            except OSError:  # Linux answers EIO once no process has the terminal open
                return
            if not read:
                return
            self.output += read.decode(errors="replace").replace("\r\n", "\n")
