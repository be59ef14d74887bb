"""The terminal of a direct rollback: it may close, and it may be interrupted, while the rollback goes on."""

import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Protocol, TextIO

from rich.console import Console

from rollback_cli.shell.cache_folder import cache_folder
from rollback_cli.terminal_text import make_console, print_paragraph

_OUTPUTS = (1, 2)  # file descriptors of standard output and standard error


class Stopped(BaseException):
    """The operator stopped this process: by a second Ctrl-C, or by SIGTERM.

    No `Exception`: no step may take the stop for a failure of a call.

    Attributes:
        exit_code: 128 plus the number of the signal, as a shell reports it.
    """

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signal_number).name}")
        self.exit_code = 128 + signal_number


class Terminal(Protocol):
    """A terminal at which a person may answer."""

    @property
    def is_present(self) -> bool:
        """Whether a person can be asked."""
        ...

    def read_line(self, seconds: float) -> str | None:
        """Wait for a line at most the given seconds; None: there was none."""
        ...


class StandardTerminal:
    """Standard input and output of this process, which outlive the terminal's end.

    Args:
        is_on_stderr: print on standard error, since standard output is for a document.

    Attributes:
        log: file that the output goes to once the terminal is gone.
    """

    def __init__(self, *, is_on_stderr: bool = False) -> None:
        self._is_on_stderr = is_on_stderr
        now = datetime.now(UTC)
        self.log: Path = cache_folder() / f"direct-{now:%Y%m%dT%H%M%SZ}-{os.getpid()}.log"
        self._is_gone = False
        self._terminal_streams = tuple(stream for stream in _OUTPUTS if os.isatty(stream))

    @property
    def is_present(self) -> bool:
        """Whether standard input and output are a terminal that is still there."""
        if self._is_gone:
            return False
        try:
            return sys.stdin.isatty() and self._stream.isatty()
        except ValueError:  # a closed file
            return False

    def read_line(self, seconds: float) -> str | None:
        """Wait for a line with `select`, so that nothing keeps the rollback from looking at the ledger again."""
        with suppress(OSError, ValueError):
            ready, _, _ = select.select([sys.stdin], [], [], seconds)
            if not ready:
                return None
            line = sys.stdin.readline()
            if line:
                return line.strip()
        time.sleep(seconds)  # the end of the input stays readable, and would be read again at once
        return None

    def show(self, output: Callable[[Console], None]) -> None:
        """Print; into the log, if the terminal is gone."""
        try:
            output(make_console(stderr=self._is_on_stderr))
            self._stream.flush()
        except (OSError, SystemExit):  # rich ends the process at a broken pipe
            self._move(_OUTPUTS)
            with suppress(OSError, SystemExit):
                output(make_console(stderr=self._is_on_stderr))
                self._stream.flush()

    @property
    def _stream(self) -> TextIO:
        return sys.stderr if self._is_on_stderr else sys.stdout

    def say(self, text: str) -> None:
        """Print a paragraph."""
        self.show(lambda console: print_paragraph(text, console))

    def leave(self) -> None:
        """Send what would go to the terminal to the log; a file or a pipe of the operator stays as it is."""
        if not self._is_gone:
            self._is_gone = True
            self._move(self._terminal_streams)

    def _move(self, streams: tuple[int, ...]) -> None:
        """Send these outputs to the log; without a place for the log, nowhere."""
        self._is_gone = True
        if not streams:
            return
        try:
            self.log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            target = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError:
            target = os.open(os.devnull, os.O_WRONLY)
        for stream in streams:
            os.dup2(target, stream)
        os.close(target)

    @contextmanager
    def outlive(self, describe_stop: Callable[[], str]) -> Iterator[None]:
        """Keep this process running when the terminal closes, and say at Ctrl-C what a stop would mean.

        A first Ctrl-C only prints the text; a second one stops the process, and so does SIGTERM at once.

        Args:
            describe_stop: what is left behind if this process stops now. It must call no service.

        Raises:
            Stopped: the operator stopped the process.
        """
        interrupts = 0

        def on_interrupt(number: int, _frame: FrameType | None) -> None:
            nonlocal interrupts
            interrupts += 1
            if interrupts > 1:
                raise Stopped(number)
            text = f"\nThe rollback goes on. Press Ctrl-C again to stop this process. {describe_stop()}\n"
            with suppress(OSError):  # rich may be in the middle of a line: only a direct write is safe in a handler
                os.write(2, text.encode(errors="replace"))

        def on_terminate(number: int, _frame: FrameType | None) -> None:
            raise Stopped(number)

        def on_hangup(_number: int, _frame: FrameType | None) -> None:
            self.leave()

        handlers: dict[int, Callable[[int, FrameType | None], None]] = {
            signal.SIGINT: on_interrupt,
            signal.SIGTERM: on_terminate,
        }
        hangup = getattr(signal, "SIGHUP", None)
        if hangup is not None and signal.getsignal(hangup) is not signal.SIG_IGN:  # `nohup` ignores it already
            handlers[hangup] = on_hangup
        previous = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
