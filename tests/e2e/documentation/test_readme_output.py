"""The outputs that the README shows are lines of the real output, but for times, ids and counts."""

import contextlib
import os
import pty
import re
import subprocess

import pytest
from documentation.pages import ROOT, blocks_of
from e2e.processes import ROLLBACK, environment, run

pytestmark = pytest.mark.e2e


def shape(line: str) -> str:
    """Return a line without its times, ids and counts."""
    return re.sub(r"\b[0-9a-f]{8}\b|\d+", "#", " ".join(line.split()))


def shown_after(command: str) -> list[str]:
    """Return the lines that the README shows as the output of a command."""
    blocks = blocks_of(ROOT / "README.md")
    position = next(number for number, block in enumerate(blocks) if block.text == command)
    assert blocks[position + 1].language == "text"
    return blocks[position + 1].text.splitlines()


def run_in_terminal(command: list[str], cloud: dict[str, str]) -> tuple[int, str]:
    """Run a command on a terminal of its own; return its exit code and its output."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command, cwd=ROOT, env=environment(cloud), stdout=theirs, stderr=theirs)
    os.close(theirs)
    output = bytearray()
    with contextlib.suppress(OSError):  # Linux answers EIO once the command has ended
        while data := os.read(ours, 4096):
            output += data
    os.close(ours)
    return process.wait(180), output.decode()


def test_the_demo_prints_what_the_readme_shows() -> None:
    process = run([ROLLBACK, "demo"], {}, seconds=400)
    assert process.returncode == 0, process.stdout
    printed = {shape(line) for line in process.stdout.splitlines()}
    missing = [line for line in shown_after("make demo") if shape(line) not in printed]
    assert missing == [], process.stdout


def test_verify_prints_what_the_readme_shows(cloud: dict[str, str], deployed: object) -> None:
    code, output = run_in_terminal([ROLLBACK, "verify", "production"], cloud)
    assert code == 0, output
    printed = {shape(line) for line in output.splitlines()}
    missing = [line for line in shown_after("rollback verify production") if shape(line) not in printed]
    assert missing == [], output
