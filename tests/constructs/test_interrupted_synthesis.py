"""A synthesis that a signal ends leaves nothing in the temporary directory."""

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
def test_an_interrupted_synthesis_leaves_no_temporary_files(number: signal.Signals, tmp_path: Path) -> None:
    temporary, out = tmp_path / "tmp", tmp_path / "cdk.out"
    temporary.mkdir()
    variables = {**os.environ, "TMPDIR": str(temporary), "CDK_OUTDIR": str(out)}
    words = [sys.executable, str(ROOT / "app.py")]
    reset = partial(signal.signal, number, signal.SIG_DFL)  # nohup, for example, makes child processes ignore it
    with subprocess.Popen(words, cwd=ROOT, env=variables, preexec_fn=reset) as app:  # noqa: PLW1509
        deadline = time.monotonic() + 60
        while not any(temporary.rglob("*.js")) and time.monotonic() < deadline:  # jsii unpacks them at import
            time.sleep(0.02)
        app.send_signal(number)

        assert app.wait(30) == 128 + number

    deadline = time.monotonic() + 10
    while (
        list(temporary.iterdir()) and time.monotonic() < deadline
    ):  # jsii's Node removes its files after its parent has ended
        time.sleep(0.05)
    assert not list(temporary.iterdir())
