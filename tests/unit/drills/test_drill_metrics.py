"""Metrics of a drill, as docs/drills.md names them for a dashboard or an alarm of the team."""

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from simulations.drills import drill_request, start_drill_simulation

from rollback.adapters.aws.reporting.metrics import LoggedMetrics

DOCS = Path(__file__).parents[3] / "docs"


def emitted_by_a_drill(scenario: str) -> dict[str, Any]:
    simulation = start_drill_simulation()
    rollback = simulation.run_to_end(simulation.admit(drill_request(scenario)))
    output = io.StringIO()
    LoggedMetrics("macro-ai", "production", output).record_conclusion(rollback)
    line: dict[str, Any] = json.loads(output.getvalue())
    return line


@pytest.mark.parametrize("scenario", ["service", "emergency"])
def test_the_documented_metrics_of_a_drill_are_emitted_with_the_documented_type(scenario: str) -> None:
    (documented,) = [
        line for line in (DOCS / "drills.md").read_text().splitlines() if line.startswith("- The metric `Drills`")
    ]
    of_drills, _, of_rollbacks = documented.partition("`Rollbacks`")
    line = emitted_by_a_drill(scenario)
    names = set(re.findall(r"`([A-Z][a-z]+(?:[A-Z][a-z]+)*Seconds|Drills)`", of_drills))
    assert names == {"Drills", "DrillDecideSeconds", "DrillActSeconds", "DrillVerifySeconds"}
    assert names <= line.keys()
    assert f"`{line['Type']}`" in of_drills
    assert of_rollbacks == " does not count drills."
    assert "Rollbacks" not in line


def test_no_page_names_a_metric_of_a_drill_that_is_never_emitted() -> None:
    named = {name for page in DOCS.rglob("*.md") for name in re.findall(r"`(Drill[A-Za-z]+Seconds)`", page.read_text())}
    assert named
    assert named <= emitted_by_a_drill("service").keys()
