"""Deployment of our stacks by the CDK's own command line, as an operator does it."""

import json
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

from referee.emulator import ACCOUNT, REGION, ROOT, Emulator

from local_cloud.processes import child_processes

CDK = ROOT / ".tools" / "node_modules" / ".bin" / "cdk"
# Production with waits of seconds, and with a service that starts without tasks since its repository is empty.
_POLICY: dict[str, Any] = {
    "mode": "act",  # production of `cdk.json` observes at first
    "poll_seconds": 1,
    "verify_interval_seconds": 1,
    "verify_rounds": 2,
    "bake_minutes": 0.05,
    "bake_minimum_requests": 10,
    "cooldown_minutes": 0,
    "service_timeout_minutes": 0.5,
    "alarm_settle_minutes": 0.1,
    "verify_timeout_minutes": 0.5,
    "conclude_timeout_minutes": 1,
}
_SECONDS = 180


class CdkFailed(Exception):
    """The CDK's command line failed; the text has the end of its output."""


def context(base_url: str) -> dict[str, str]:
    """Build the context that `cdk` gets besides `cdk.json`: the bundle runs on this machine."""
    service = {"base_url": base_url, "workload": {"initial_desired_count": 0}}
    overrides: dict[str, Any] = {"policy": _POLICY, "services": [service]}
    return {
        "rollback:environments": "production",
        "rollback:overrides": json.dumps(overrides),
        "rollback:bundle_platform": f"{platform.machine()}-manylinux_2_28",
        "rollback:bundle_python": f"{sys.version_info.major}.{sys.version_info.minor}",
    }


def deploy_stacks(emulator: Emulator, base_url: str, work: Path) -> Path:
    """Deploy both production stacks, and return the assembly. Synth and bootstrap run side by side.

    Raises:
        CdkFailed: `synth`, `bootstrap` or `deploy` failed.
    """
    out, words_of_context = work / "cdk.out", context(base_url)
    words = [word for name, value in words_of_context.items() for word in ("-c", f"{name}={value}")]
    synth = _begin(["synth", "--quiet", "--output", str(out), *words], emulator, work / "synth.log")
    account = f"aws://{ACCOUNT}/{REGION}"
    bootstrap = _begin(
        ["bootstrap", account, "--output", str(work / "bootstrap.out")], emulator, work / "bootstrap.log"
    )
    _finish(synth, "synth", work / "synth.log")
    _finish(bootstrap, "bootstrap", work / "bootstrap.log")
    flags = ["--all", "--require-approval", "never", "--concurrency", "2", "--progress", "events"]
    deploy = _begin(["deploy", *flags, "--app", str(out)], emulator, work / "deploy.log")
    _finish(deploy, "deploy", work / "deploy.log")
    return out


def _begin(words: list[str], emulator: Emulator, log: Path) -> "subprocess.Popen[str]":
    with log.open("w") as output:
        return child_processes.start(
            [str(CDK), *words, "--no-notices"], cwd=ROOT, env=emulator.environment(),
            stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip


def _finish(process: "subprocess.Popen[str]", name: str, log: Path) -> None:
    code = process.wait(_SECONDS)
    child_processes.end(process)  # closes its standard input
    if code:
        raise CdkFailed(f"cdk {name} ended with {code}; {log}:\n{log.read_text()[-3000:]}")
