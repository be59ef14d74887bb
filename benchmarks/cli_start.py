"""Processor time of `rollback --help`, and of `rollback status` until its first request leaves the machine.

Usage: python benchmarks/cli_start.py [RUNS]

Each run is a process of its own; the fastest and the median are printed. The limit of both is 0.4 s.
"""

import os
import statistics
import subprocess
import sys
from pathlib import Path

LIMIT_SECONDS = 0.4
ROOT = Path(__file__).parents[1]
_HELP = """
import sys, time
sys.argv = ["rollback", "--help"]
from rollback_cli.main import run
run(sys.argv[1:])
print(time.process_time(), file=sys.stderr)
"""
_STATUS = """
import os, sys, time
import botocore.httpsession

def stop(self, request):
    print(time.process_time(), file=sys.stderr)
    sys.stderr.flush()
    os._exit(0)

botocore.httpsession.URLLib3Session.send = stop
from rollback_cli.main import run
run(["status", "production"])
"""
_CREDENTIALS = {"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}


def measure(program: str, runs: int) -> list[float]:
    """Run a program in processes of its own; return their seconds of processor time, sorted."""
    environment = {**os.environ, **_CREDENTIALS}
    command = [sys.executable, "-c", program]
    seconds = []
    for _ in range(runs):
        process = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
        seconds.append(float(process.stderr.splitlines()[-1]))
    return sorted(seconds)


def main() -> int:
    """Print both times; exit code 1: a median is above the limit."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    is_slow = False
    for name, program in (("rollback --help", _HELP), ("rollback status, until the first request", _STATUS)):
        seconds = measure(program, runs)
        median = statistics.median(seconds)
        is_slow = is_slow or median > LIMIT_SECONDS
        print(f"{name}: fastest {seconds[0]:.2f} s, median {median:.2f} s of {runs} (limit {LIMIT_SECONDS} s)")
    return 1 if is_slow else 0


if __name__ == "__main__":
    sys.exit(main())
