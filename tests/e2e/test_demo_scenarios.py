"""The demo's stories of an outage and of a service without a way back, each played to its end."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
COMMAND = Path(sys.executable).with_name("rollback")

pytestmark = pytest.mark.e2e


def played(scenario: str) -> str:
    """The timeline of a scenario that ended as it should. A process of its own: there is one cloud in each."""
    done = subprocess.run(
        [COMMAND, "demo", "--scenario", scenario],
        cwd=PROJECT, capture_output=True, text=True, check=False, timeout=400,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_an_outage_is_answered_by_an_emergency_that_changes_ecs_in_its_first_invocation() -> None:
    shown = played("outage")
    assert re.search(r"alarm \S+-outage: ALARM", shown)
    assert re.search(r"emergency rollback \w+: update_service, called from within invocation 1 of .*Emergency", shown)
    assert re.search(r"emergency rollback \w+: succeeded and concluded: v1\.1\.0 → v1\.0\.0", shown)


def test_without_a_release_that_is_known_to_be_good_a_person_is_paged_and_nothing_is_touched() -> None:
    shown = played("nothing-good")
    assert re.search(r"service rollback \w+: refused: there is no release to go back to", shown)
    page = shown[shown.index("PAGE: [production] rollback of express-api refused") :]
    assert "a person has to look" in page
    assert "last-known-good:" not in shown
