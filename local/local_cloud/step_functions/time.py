"""The scaled clock for waits, retries, timeouts, task tokens and heartbeats of state machines."""

import threading
import time
from types import SimpleNamespace
from typing import Any

from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
from moto.stepfunctions.parser.asl.component.program import program
from moto.stepfunctions.parser.asl.component.state.exec import execute_state
from moto.stepfunctions.parser.asl.component.state.wait.wait_function.wait_function import WaitFunction
from moto.stepfunctions.parser.asl.eval.callback import callback

from local_cloud import clock


class ScaledEvent(threading.Event):
    """An event whose timeouts are simulated seconds."""

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for at most `timeout` simulated seconds."""
        return super().wait(None if timeout is None else clock.real_seconds(timeout))


class ScaledThread(threading.Thread):
    """A thread whose join timeouts are simulated seconds."""

    def join(self, timeout: float | None = None) -> None:
        """Join for at most `timeout` simulated seconds."""
        super().join(None if timeout is None else clock.real_seconds(timeout))


def _wait_interval(_: Any, env: Any, wait_seconds: float) -> None:
    """Wait as a Wait state does; only the end of the execution ends it early."""
    end = time.monotonic() + clock.real_seconds(max(0, wait_seconds))
    while env.is_running() and (seconds_left := end - time.monotonic()) > 0:
        env.program_state_event.wait(min(seconds_left, 0.25))  # a wake-up of the interpreter can be missed


def install() -> None:
    """Replace the interpreter's clocks."""
    WaitFunction._wait_interval = _wait_interval
    retrier_decl.time = SimpleNamespace(sleep=clock.sleep)
    scaled = SimpleNamespace(Event=ScaledEvent, Thread=ScaledThread)
    execute_state.threading = scaled  # a task's TimeoutSeconds
    program.threading = scaled  # the state machine's TimeoutSeconds
    callback.Event = ScaledEvent  # task tokens and heartbeats
