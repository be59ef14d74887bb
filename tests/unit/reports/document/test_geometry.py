"""Drawings stay in their frame, keep the order of time, and put no mark on another."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.builders import NOW
from support.reported_rollbacks import CASES, at, document_of

from rollback.reports.document.geometry import draw_chart, draw_timeline
from rollback.reports.document.model import Event

_RADIUS = 10.5


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("width", [354, 812])
def test_the_timeline_draws_each_event_and_phase_inside_its_frame(case: str, width: float) -> None:
    document = document_of(case)
    drawing = draw_timeline(document, width)
    assert drawing is not None
    assert [mark.number for mark in drawing.marks] == [*range(1, len(document.events) + 1)]
    assert [bar.kind for bar in drawing.bars] == [phase.name for phase in document.phases]
    assert all(0 <= bar.x <= bar.x + bar.width <= width + 2 for bar in drawing.bars)
    assert all(mark.y + _RADIUS <= drawing.height for mark in drawing.marks)


@given(st.lists(st.integers(0, 100_000), min_size=1, max_size=40), st.integers(200, 1200))
def test_marks_keep_the_order_of_time_and_never_overlap(seconds: list[int], width: int) -> None:
    events = tuple(Event(at=at(second), kind="action", title="x") for second in sorted(seconds))
    document = document_of("refused").model_copy(update={"events": events, "phases": ()})
    drawing = draw_timeline(document, width)
    assert drawing is not None
    assert [mark.x for mark in drawing.marks] == sorted(mark.x for mark in drawing.marks)
    assert all(_RADIUS <= mark.x <= width - _RADIUS for mark in drawing.marks)
    for one, other in combinations(drawing.marks, 2):
        assert abs(one.x - other.x) >= 2 * _RADIUS or abs(one.y - other.y) >= 2 * _RADIUS


def test_a_deployment_of_days_ago_stands_at_the_left_edge() -> None:
    document = document_of("succeeded")
    old = Event(at=NOW.replace(year=2020), kind="deployment", title="v1")
    drawing = draw_timeline(document.model_copy(update={"events": (old, *document.events[1:])}), 812)
    assert drawing is not None
    assert drawing.marks[0].is_before_axis
    assert drawing.marks[1].x > drawing.marks[0].x


def test_an_account_without_events_or_requests_has_no_drawing() -> None:
    document = document_of("refused").model_copy(update={"events": ()})
    assert draw_timeline(document, 812) is None
    assert draw_chart(document, 812) is None


@pytest.mark.parametrize("width", [354, 812])
def test_the_bars_of_the_chart_show_all_requests_and_stay_in_the_frame(width: float) -> None:
    document = document_of("succeeded")
    drawing = draw_chart(document, width)
    assert drawing is not None
    assert all(drawing.top_y <= bar.y for bar in drawing.bars)
    assert all(drawing.left <= bar.x <= bar.x + bar.width <= width + 1 for bar in drawing.bars)
    pixels = sum(bar.height for bar in drawing.bars)
    most = float(drawing.y_ticks[-1].label)
    requests = sum(minute.total for minute in document.traffic.minutes)
    assert pixels / (drawing.base_y - drawing.top_y) * most == pytest.approx(requests, rel=0.02)
