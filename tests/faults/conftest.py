"""Summary of the crash harness: how often it killed the process; `CRASH_HARNESS=half` plays half of the moments."""

import os
from zlib import crc32

import pytest


def _is_kill(nodeid: str) -> bool:
    return "killed" in nodeid.lower() and "[" in nodeid and "faults" in nodeid


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the same half of the moments each time; `make prove` plays them all."""
    if os.environ.get("CRASH_HARNESS") != "half":
        return
    left_out = [item for item in items if _is_kill(item.nodeid) and crc32(item.nodeid.encode()) % 2]
    config.hook.pytest_deselected(items=left_out)
    names = {item.nodeid for item in left_out}
    items[:] = [item for item in items if item.nodeid not in names]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    def kills(outcome: str) -> int:
        return sum(_is_kill(report.nodeid) for report in terminalreporter.stats.get(outcome, []))

    passed, failed = kills("passed"), kills("failed")
    if passed + failed:
        half = ", of every second moment (all: make prove)" if os.environ.get("CRASH_HARNESS") == "half" else ""
        terminalreporter.write_line(f"crash harness: {passed + failed} kills, {passed} concluded by the rules{half}")
