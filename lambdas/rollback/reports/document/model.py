"""The written account of a rollback as data: every text is one cleaned, bounded line.

A renderer (`rollback.rendering`) shows the document and adds no facts. The stored JSON has the same fields, so that the
account can be rendered again after CloudWatch has dropped the metrics.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict

from rollback.resources.aws.traffic import TrafficMinute
from rollback.text import one_line

_LINE_LIMIT = 2_000


def _line(value: object) -> object:
    return one_line(value, _LINE_LIMIT) if isinstance(value, str) else value


Line = Annotated[str, BeforeValidator(_line)]
"""One line of text, without line breaks, control characters and invisible characters."""


@dataclass(frozen=True)
class Evidence:
    """Evidence beside the rollback's document. It is not stored, because definitions have values of variables.

    Attributes:
        traffic: minutes of traffic; None: not measured.
        traffic_remark: why the traffic was not measured, or what its counts leave out.
        previous_definition: task definition of the release that was replaced; None: not found.
        target_definition: task definition of the target; None: not found.
        definitions_remark: why a definition was not found.
    """

    traffic: tuple[TrafficMinute, ...] | None = None
    traffic_remark: str = "the load balancer's metrics were not asked for"
    previous_definition: Mapping[str, Any] | None = None
    target_definition: Mapping[str, Any] | None = None
    definitions_remark: str = "the task definitions were not asked for"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")  # a newer version may have written it


class Tone(StrEnum):
    """Meaning of a line, which a renderer may colour; the text says the same."""

    GOOD = "good"
    BAD = "bad"
    WARNING = "warning"
    NEUTRAL = "neutral"


class Fact(_Part):
    """A labelled fact of the summary."""

    label: Line
    text: Line
    tone: Tone = Tone.NEUTRAL


class Summary(_Part):
    """The first screen: what happened, and what to do."""

    headline: Line
    what_happened: Line
    tone: Tone
    facts: tuple[Fact, ...]


class Event(_Part):
    """A moment of the rollback."""

    at: AwareDatetime
    kind: Line
    title: Line
    detail: Line = ""
    tone: Tone = Tone.NEUTRAL


class PhasePeriod(_Part):
    """A phase of the rollback, from its begin to its end."""

    name: Line
    began_at: AwareDatetime
    ended_at: AwareDatetime

    @property
    def seconds(self) -> float:
        """Duration in seconds."""
        return (self.ended_at - self.began_at).total_seconds()


class CheckLine(_Part):
    """A check with its verdict and evidence. `stage` is admission, plan, database or verification."""

    stage: Line
    name: Line
    verdict: Line
    reason: Line
    evidence: Line = ""

    @property
    def tone(self) -> Tone:
        """Colour of the verdict."""
        by_verdict = {"pass": Tone.GOOD, "warn": Tone.WARNING, "fail": Tone.BAD}
        return by_verdict.get(self.verdict, Tone.NEUTRAL)


class ReleaseFacts(_Part):
    """A release, for the comparison of before and after."""

    version: Line
    commit: Line = ""
    definition: Line
    first_deployed_at: AwareDatetime
    state: Line
    images: dict[Line, Line] = {}


class Difference(_Part):
    """A difference of two task definitions. Values that may be secret are left out: `before` and `after` are empty."""

    where: Line
    what: Line
    change: Line
    before: Line = ""
    after: Line = ""


class TrafficPeriod(_Part):
    """Traffic of a period. `availability` is None without requests."""

    name: Line
    since: AwareDatetime
    until: AwareDatetime
    requests: int
    failed: int
    availability: float | None
    p95_seconds: float | None = None


class Traffic(_Part):
    """Requests before, during and after the incident."""

    minutes: tuple[TrafficMinute, ...] = ()
    periods: tuple[TrafficPeriod, ...] = ()
    remark: Line = ""

    @property
    def is_measured(self) -> bool:
        """Whether any request was counted."""
        return any(minute.total for minute in self.minutes)

    def period(self, name: str) -> TrafficPeriod | None:
        """Return a period by its name: before, during or after."""
        return next((period for period in self.periods if period.name == name), None)


class ReportDocument(_Part):
    """The written account of one rollback."""

    format: int = 1
    rollback_id: Line
    environment: Line
    service: Line
    trigger: Line
    outcome: Line
    is_drill: bool = False
    summary: Summary
    request: tuple[Fact, ...] = ()
    events: tuple[Event, ...] = ()
    phases: tuple[PhasePeriod, ...] = ()
    plan: Line = ""
    checks: tuple[CheckLine, ...] = ()
    previous: ReleaseFacts | None = None
    target: ReleaseFacts | None = None
    differences: tuple[Difference, ...] = ()
    differences_remark: Line = ""
    change_lines: tuple[Line, ...] = ()
    verification: Line = ""
    service_lines: tuple[Line, ...] = ()
    database_lines: tuple[Line, ...] = ()
    data_loss_lines: tuple[Line, ...] = ()
    obligation_lines: tuple[Line, ...] = ()
    traffic: Traffic = Traffic()
    next_actions: tuple[Line, ...] = ()
    questions: tuple[Line, ...] = ()
    not_looked_at: tuple[Line, ...] = ()
