"""Says at the end how often the process was killed."""

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    def kills(outcome: str) -> int:
        reports = terminalreporter.stats.get(outcome, [])
        return sum("killed" in r.nodeid.lower() and "[" in r.nodeid and "faults" in r.nodeid for r in reports)

    passed, failed = kills("passed"), kills("failed")
    if passed + failed:
        terminalreporter.write_line(f"crash harness: {passed + failed} kills, {passed} concluded by the rules")
