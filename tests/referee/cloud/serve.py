"""Entry point of MiniStack with our shims; the process ends when its standard input ends.

`emulator.py` runs it by the interpreter of `.referee`. Settings are MiniStack's environment variables (GATEWAY_PORT,
AUTH, …) and `REFEREE_JOURNAL`. Each module of this folder names the part of AWS that it stands in for.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from ministack import app
from referee.cloud import (
    autoscaling,
    cloudformation_alarms,
    cloudformation_network,
    emitted_events,
    iam_resources,
    journal,
    lambda_errors,
    mute_rules,
    service_revisions,
)

SHIMS: tuple[Callable[[], None], ...] = (
    cloudformation_alarms.install,
    cloudformation_network.install,
    lambda_errors.install,
    iam_resources.install,
    autoscaling.install,
    mute_rules.install,
    service_revisions.install,
    emitted_events.install,
)


def _end_with_standard_input() -> None:
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    """Install the shims and serve."""
    for install in SHIMS:
        install()
    journal.install(Path(os.environ["REFEREE_JOURNAL"]))
    threading.Thread(target=_end_with_standard_input, daemon=True).start()
    sys.argv = sys.argv[:1]
    app.main()
