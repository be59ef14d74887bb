"""`rollback metrics`: what the ledger covers, and what it does not."""

from datetime import timedelta

import pytest
from fakes.ledger import FakeLedger
from simulations.drills import drill_request, start_drill_simulation
from simulations.service import Simulation, start_simulation
from support.builders import NOW, SERVICE

from rollback.errors import InvalidRequest
from rollback_cli.output.rollbacks.measured import metrics_lines
from rollback_cli.verbs.rollbacks.metrics import measure, parse_window


def measured_lines(simulation: Simulation) -> list[str]:
    document = measure((SERVICE,), simulation.ledger, NOW - timedelta(days=90), simulation.clock.now())
    return list(metrics_lines(document))


def test_an_empty_ledger_is_said_to_be_empty() -> None:
    (line,) = metrics_lines(measure((SERVICE,), FakeLedger(), NOW - timedelta(days=90), NOW))
    assert "nothing was measured" in line


def test_the_measures_of_a_rollback_name_their_window_and_the_missing_lead_time() -> None:
    simulation = start_simulation()
    simulation.run()
    lines = measured_lines(simulation)
    text = "\n".join(lines)
    assert "the ledger covers no time before that" in text
    assert "change failure rate: 50.0% (1 of 2)" in text
    assert "lead time for changes: not known" in text
    assert "by outcome: succeeded 1" in text
    assert "drills (not part of the measures above): 0" in text


def test_a_drill_of_an_emergency_is_shown_by_phase_apart_from_the_rollbacks() -> None:
    simulation = start_drill_simulation()
    simulation.run(drill_request("emergency"))
    lines = measured_lines(simulation)
    assert "failed deployment recovery time: not measured" in lines
    rollbacks = lines.index("rollbacks: 0")
    drills = lines[rollbacks + 1 :]
    assert drills[:3] == [
        "drills (not part of the measures above): 1",
        "  by outcome: succeeded 1",
        "  by trigger: drill 1",
    ]
    assert {line.split(":")[0].strip() for line in drills[3:]} >= {"decide", "act", "verify"}


def test_records_before_the_window_are_not_read_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    simulation = start_simulation()
    ended = simulation.run()
    reads: list[str] = []

    def records(service: str, before: str | None = None) -> object:
        for _ in range(10):
            reads.append(service)
            yield ended

    monkeypatch.setattr(simulation.ledger, "records", records)
    later = simulation.clock.now() + timedelta(days=1)
    measure((SERVICE,), simulation.ledger, later, later + timedelta(days=1))
    assert reads == [SERVICE]


@pytest.mark.parametrize("text", ["", "90", "d", "-1d", "0d", "1y", "9999w", "1 d", "٣d"])
def test_a_wrong_window_is_refused_with_the_allowed_forms(text: str) -> None:
    with pytest.raises(InvalidRequest, match="12h, 90d, 8w"):
        parse_window(text)


def test_a_window_may_be_hours_days_or_weeks() -> None:
    assert [parse_window(text) for text in ("12h", "90d", "8w")] == [
        timedelta(hours=12),
        timedelta(days=90),
        timedelta(weeks=8),
    ]
