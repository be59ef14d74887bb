"""The written account of drills: each scenario has one, and it tells a drill's own events."""

from collections.abc import Callable

import pytest
from simulations.drills import drill_request, start_database_drill_simulation, start_drill_simulation
from simulations.service import Simulation

from rollback.domain.rollback import Outcome
from rollback.rendering.html import render_html
from rollback.rendering.markdown import render_markdown
from rollback.stored_report.channel import current_document


@pytest.mark.parametrize(
    ("start", "scenario", "title"),
    [
        (start_drill_simulation, "service", "A new deployment of the same release was forced"),
        (start_drill_simulation, "emergency", "A new deployment of the same release was forced"),
        (start_database_drill_simulation, "database", "Preview branch of the drill deleted"),
    ],
)
def test_the_account_of_a_drill_tells_its_own_events(
    start: Callable[[], Simulation], scenario: str, title: str
) -> None:
    simulation = start()
    drill = simulation.run(drill_request(scenario))
    assert drill.outcome is Outcome.SUCCEEDED, drill.reason
    document = current_document(drill, simulation.ports, has_stored=False)
    titles = [event.title for event in document.events]
    assert (document.is_drill, titles.count(title)) == (True, 1), titles
    assert "The stuck deployment was made again" not in titles
    assert title in render_markdown(document)
    assert title in render_html(document)
