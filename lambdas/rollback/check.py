"""A check: one question about a rollback, its answer, and why."""

from enum import StrEnum
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from rollback.text import StoredEvidence, StoredText


class Verdict(StrEnum):
    """What a check found."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    WARN = "warn"
    FAIL = "fail"
    SKIPPED = "skipped"


class Check(BaseModel):
    """One question and its answer.

    `forceable`: a person's `force` may override a fail. `suppresses`: a fail is no refusal, there is just nothing to be
    done about the release; with `recheck_due_at` not for ever (alarms are edges: a suppressed one never comes again).
    """

    model_config = ConfigDict(frozen=True, extra="ignore")  # a newer version may have written it

    name: str
    verdict: Verdict
    reason: StoredText
    evidence: StoredEvidence = Field(default_factory=dict)
    seconds: float = 0.0
    forceable: bool = False
    suppresses: bool = False
    recheck_due_at: AwareDatetime | None = None

    @classmethod
    def passed(cls, name: str, reason: str, **details: Any) -> "Check":
        """A check that found nothing against the rollback; `details` are other fields."""
        return cls(name=name, verdict=Verdict.PASS, reason=reason, **details)

    @classmethod
    def warned(cls, name: str, reason: str, **details: Any) -> "Check":
        """A check that found something a person should know and that does not stop the rollback."""
        return cls(name=name, verdict=Verdict.WARN, reason=reason, **details)

    @classmethod
    def failed(cls, name: str, reason: str, **details: Any) -> "Check":
        """A check that stops the rollback."""
        return cls(name=name, verdict=Verdict.FAIL, reason=reason, **details)

    @classmethod
    def skipped(cls, name: str, reason: str, **details: Any) -> "Check":
        """A check whose question was not asked; `reason` says why."""
        return cls(name=name, verdict=Verdict.SKIPPED, reason=reason, **details)

    @classmethod
    def failed_if(
        cls, objection: str | None, name: str, otherwise: str, *, forceable: bool = False, **details: Any
    ) -> "Check":
        """A failed check with the objection as its reason; a passed one if there is no objection.

        Args:
            objection: why the rollback can't go on; None: nothing speaks against it.
            otherwise: the reason of the passed check.
            forceable: whether an operator's `force` overrides the objection; a passed check is never forceable.
        """
        if objection is None:
            return cls.passed(name, otherwise, **details)
        return cls.failed(name, objection, forceable=forceable, **details)
