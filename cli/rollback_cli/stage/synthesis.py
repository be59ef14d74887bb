"""Synthesises the app for this machine: the same stacks, with a bundle that this Python can run."""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]


class SynthesisFailed(Exception):
    """`app.py` did not synthesise; the message is what it said."""


def synthesise(out: Path, environment: str, overrides: dict[str, Any]) -> None:
    """Write the cloud assembly of one environment.

    Raises:
        SynthesisFailed: with the end of the app's own words.
    """
    context = json.loads((ROOT / "cdk.json").read_text())["context"]
    context |= {
        "rollback:environments": environment,
        "rollback:overrides": json.dumps(overrides),
        "rollback:bundle_platform": f"{platform.machine()}-manylinux2014",
        "rollback:bundle_python": f"{sys.version_info.major}.{sys.version_info.minor}",
    }
    variables = {
        **os.environ,
        "CDK_OUTDIR": str(out),
        "CDK_CONTEXT_JSON": json.dumps(context),
        "CDK_VALIDATION": "false",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    result = subprocess.run(
        [sys.executable, str(ROOT / "app.py")], cwd=ROOT, env=variables, capture_output=True, text=True, check=False
    )
    if result.returncode:
        raise SynthesisFailed(f"app.py ended with {result.returncode}:\n{(result.stdout + result.stderr)[-3000:]}")
