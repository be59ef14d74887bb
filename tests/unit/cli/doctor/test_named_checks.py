"""Every check of the doctor that a page names exists."""

import re
from pathlib import Path

from simulations.doctor import healthy_patient
from support.builders import SERVICE

DOCS = Path(__file__).parents[4] / "docs"
# Findings about one release, and those of the test event, which the healthy examination below leaves out.
OTHERS = {"test-event-arrives", "approve-may-act"}


def known_checks() -> set[str]:
    findings = healthy_patient().findings()
    names = {finding.check.partition(" (")[0].removesuffix(f"-{SERVICE}") for finding in findings}
    return names | OTHERS | {"tasks-could-start"}


def test_every_assumption_names_a_check_that_exists() -> None:
    named = re.findall(r"Doctor: `([^`]+)`", (DOCS / "assumptions.md").read_text())
    assert len(named) >= 20
    assert set(named) <= known_checks()


def test_the_doctors_page_names_checks_that_exist() -> None:
    table = (DOCS / "doctor.md").read_text().partition("## Assumptions that it tries")[2]
    named = {name for name in re.findall(r"`([a-z0-9-]+)`", table) if "-" in name}
    assert named
    assert named <= known_checks()
