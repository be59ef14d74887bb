"""Parts of the description of a service: settings, what is left out of them and why, and what the team decides."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class LeftOut:
    """Part of the service that the settings leave out, and the reason."""

    subject: str
    reason: str


@dataclass(frozen=True)
class Decision:
    """A question that only the team can answer.

    Attributes:
        question: title of the decision.
        advice: what follows from each answer.
        snippet: settings to paste, as an object that `cdk.json` may have; None: no setting is needed.
        place: where the snippet belongs.
        command: command to run.
    """

    question: str
    advice: str
    snippet: Mapping[str, Any] | None = None
    place: str = "the service"
    command: str | None = None


@dataclass(frozen=True)
class Part:
    """One part of a description.

    Attributes:
        service: settings of the service.
        existing: settings of its `existing`.
        blockers: reasons why the section must not be written: what it would lack can't be left out.
    """

    service: Mapping[str, Any] = field(default_factory=dict)
    existing: Mapping[str, Any] = field(default_factory=dict)
    left_out: tuple[LeftOut, ...] = ()
    decisions: tuple[Decision, ...] = ()
    blockers: tuple[str, ...] = ()


def join(parts: Iterable[Part]) -> Part:
    """Join parts; a setting of a later part replaces the same setting of an earlier one."""
    whole = Part()
    for part in parts:
        whole = Part(
            service={**whole.service, **part.service},
            existing={**whole.existing, **part.existing},
            left_out=(*whole.left_out, *part.left_out),
            decisions=(*whole.decisions, *part.decisions),
            blockers=(*whole.blockers, *part.blockers),
        )
    return whole
