"""A synthesis that is told to end leaves nothing in the temporary directory."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_the_app_ends_without_a_trace(number: signal.Signals, tmp_path: Path) -> None:
    temporary, out = tmp_path / "tmp", tmp_path / "cdk.out"
    temporary.mkdir()
    variables = {**os.environ, "TMPDIR": str(temporary), "CDK_OUTDIR": str(out)}
    words = [sys.executable, str(ROOT / "app.py")]
    heard = partial(signal.signal, number, signal.SIG_DFL)  # whoever started the tests may ignore it, as nohup does
    with subprocess.Popen(words, cwd=ROOT, env=variables, preexec_fn=heard) as app:  # noqa: PLW1509
        deadline = time.monotonic() + 60
        while not any(temporary.rglob("*.js")) and time.monotonic() < deadline:  # jsii's, unpacked at import
            time.sleep(0.02)
        app.send_signal(number)

        assert app.wait(30) == 128 + number

    deadline = time.monotonic() + 10
    while list(temporary.iterdir()) and time.monotonic() < deadline:  # jsii's node removes its own when we are gone
        time.sleep(0.05)
    assert not list(temporary.iterdir())
