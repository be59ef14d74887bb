"""Geometry of the drawings: values in, coordinates out. A renderer writes the SVG.

Each drawing is made for a width in CSS pixels, so that its text has the same size on a phone and on a screen.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from rollback.reports.document.model import Event, PhasePeriod, ReportDocument
from rollback.resources.aws.traffic import TrafficMinute

_SIDE, _BAR_TOP, _BAR_HEIGHT = 14.0, 8.0, 30.0
_MARK_GAP, _MARK_ROW = 24.0, 26.0
_CHARACTER = 7.2  # width of a character at 12 px
_STEPS_SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)
_PIXELS_A_TICK, _PIXELS_A_BAR = 90, 5
_MAX_BARS = 120
_CHART_LEFT, _CHART_TOP, _CHART_HEIGHT = 46.0, 14.0, 150.0


@dataclass(frozen=True)
class Box:
    """A rectangle with a class for its colour, and a label if that fits."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    label: str = ""


@dataclass(frozen=True)
class Mark:
    """A numbered event; `number` is its place in the list of events."""

    x: float
    y: float
    number: int
    tone: str
    is_before_axis: bool = False


@dataclass(frozen=True)
class Tick:
    """A tick of an axis with its label."""

    position: float
    label: str


@dataclass(frozen=True)
class TimelineDrawing:
    """The timeline: phases as bars, and events as numbered marks under them."""

    width: float
    height: float
    axis_y: float
    bars: tuple[Box, ...]
    marks: tuple[Mark, ...]
    ticks: tuple[Tick, ...]


@dataclass(frozen=True)
class ChartDrawing:
    """Requests by time: answered ones, failed ones above them, and the incident behind them."""

    width: float
    height: float
    left: float
    base_y: float
    top_y: float
    bars: tuple[Box, ...]
    incident: Box | None
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    minutes_a_bar: int


def draw_timeline(document: ReportDocument, width: float) -> TimelineDrawing | None:
    """Draw the events and phases; None without an event."""
    if not document.events:
        return None
    begin, end = _axis(document.events, document.phases)
    span = (end - begin).total_seconds()

    def x_of(at: datetime) -> float:
        share = (at - begin).total_seconds() / span
        return round(_SIDE + min(1.0, max(0.0, share)) * (width - 2 * _SIDE), 1)

    bars = tuple(_bar(phase, x_of(phase.began_at), x_of(phase.ended_at)) for phase in document.phases)
    marks, rows = _marks(document.events, begin, x_of)
    axis_y = _BAR_TOP + _BAR_HEIGHT + 12
    height = axis_y + 34 + rows * _MARK_ROW
    ticks = tuple(Tick(x_of(at), label) for at, label in _ticks(begin, end, width))
    return TimelineDrawing(width, height, axis_y, bars, marks, ticks)


def _bar(phase: PhasePeriod, left: float, right: float) -> Box:
    width = max(2.0, round(right - left, 1))
    label = phase.name if width >= len(phase.name) * _CHARACTER + 8 else ""
    return Box(left, _BAR_TOP, width, _BAR_HEIGHT, phase.name, label)


def _axis(events: Sequence[Event], phases: Sequence[PhasePeriod]) -> tuple[datetime, datetime]:
    """Choose the axis: from a little before the trigger to the last event. Earlier deployments are left of it."""
    starts = [event.at for event in events if event.kind != "deployment"] + [phase.began_at for phase in phases]
    core = min(starts) if starts else events[0].at
    end = max([event.at for event in events] + [phase.ended_at for phase in phases])
    before = max((end - core) * 0.5, timedelta(minutes=1))
    earliest = min(event.at for event in events)
    return max(earliest, core - before), max(end, core + timedelta(seconds=1))


def _marks(events: Sequence[Event], begin: datetime, x_of: Callable[[datetime], float]) -> tuple[tuple[Mark, ...], int]:
    """Place each mark in the first row in which it overlaps no other."""
    last_x: list[float] = []
    marks = []
    for number, event in enumerate(events, start=1):
        x = x_of(event.at)
        row = next((row for row, taken in enumerate(last_x) if x - taken >= _MARK_GAP), len(last_x))
        last_x[row : row + 1] = [x]
        y = _BAR_TOP + _BAR_HEIGHT + 12 + 40 + row * _MARK_ROW
        marks.append(Mark(x, y, number, event.tone.value, event.at < begin))
    return tuple(marks), len(last_x)


def draw_chart(document: ReportDocument, width: float) -> ChartDrawing | None:
    """Draw the requests; None if none was counted."""
    traffic = document.traffic
    if not traffic.is_measured:
        return None
    size = max(
        1, math.ceil(len(traffic.minutes) * 5 / (width - _CHART_LEFT)), math.ceil(len(traffic.minutes) / _MAX_BARS)
    )
    begin, end = traffic.minutes[0].at, traffic.minutes[-1].at + timedelta(minutes=1)
    span, inner = (end - begin).total_seconds(), width - _CHART_LEFT - 4
    bins = tuple(_bins(traffic.minutes, begin, size))
    most = max(1.0, *(total for _, total, _ in bins))
    step = _nice_step(most / 3)
    top = math.ceil(most / step) * step
    base = _CHART_TOP + _CHART_HEIGHT

    def x_of(at: datetime) -> float:
        return round(_CHART_LEFT + (at - begin).total_seconds() / span * inner, 1)

    bars: list[Box] = []
    thickness = max(1.0, round(inner * size * 60 / span - 1, 1))
    for at, total, failed in bins:
        good, bad = (value / top * _CHART_HEIGHT for value in (total - failed, failed))
        if good > 0:
            bars.append(Box(x_of(at), round(base - good, 1), thickness, round(good, 1), "served"))
        if bad > 0:
            bars.append(
                Box(x_of(at), round(base - good - max(bad, 1.5), 1), thickness, round(max(bad, 1.5), 1), "failed")
            )
    during = traffic.period("during")
    incident = None
    if during is not None:
        left = x_of(during.since)
        incident = Box(left, _CHART_TOP, round(x_of(during.until) - left, 1), _CHART_HEIGHT, "incident")
    x_ticks = tuple(Tick(x_of(at), label) for at, label in _ticks(begin, end, inner))
    y_ticks = tuple(
        Tick(round(base - value / top * _CHART_HEIGHT, 1), f"{value:g}")
        for value in (step * number for number in range(round(top / step) + 1))
    )
    return ChartDrawing(width, base + 24, _CHART_LEFT, base, _CHART_TOP, tuple(bars), incident, x_ticks, y_ticks, size)


def _bins(minutes: Iterable[TrafficMinute], begin: datetime, size: int) -> list[tuple[datetime, float, float]]:
    """Sum the minutes up in groups of `size`: begin, all requests, failed requests."""
    groups: dict[int, list[float]] = {}
    for minute in minutes:
        number = int((minute.at - begin).total_seconds() // 60) // size
        sums = groups.setdefault(number, [0.0, 0.0])
        sums[0] += minute.total
        sums[1] += min(minute.failed, minute.total)
    return [(begin + timedelta(minutes=number * size), sums[0], sums[1]) for number, sums in sorted(groups.items())]


def _ticks(begin: datetime, end: datetime, width: float) -> Iterator[tuple[datetime, str]]:
    span = (end - begin).total_seconds()
    wanted = span / max(2, width / _PIXELS_A_TICK)
    step = next((size for size in _STEPS_SECONDS if size >= wanted), _STEPS_SECONDS[-1])
    step = max(step, math.ceil(span / 50))
    first = math.ceil(begin.timestamp() / step) * step
    format_ = "%H:%M:%S" if step < 60 else "%H:%M" if step < 86_400 else "%m-%d"
    for seconds in range(int(first), int(end.timestamp()) + 1, int(step)):
        at = datetime.fromtimestamp(seconds, UTC)
        yield at, at.strftime(format_)


def _nice_step(value: float) -> float:
    """Round up to 1, 2 or 5 times a power of ten, at least 1."""
    if value <= 1:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= value)
