"""Checks: questions about a rollback, each with a verdict and its reason."""

from enum import StrEnum
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from rollback.text import StoredEvidence, StoredText


class Verdict(StrEnum):
    """Verdict of a check."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    WARN = "warn"
    FAIL = "fail"
    SKIPPED = "skipped"


class Check(BaseModel):
    """Question about a rollback and its verdict.

    Attributes:
        is_forceable: an operator's `force` overrides a failed check.
        suppresses: a failed check ends the rollback as suppressed, not as refused; no operator is paged.
        recheck_due_at: time of the next evaluation of a suppressed rollback; CloudWatch sends an event only once.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")  # a newer version may have written it

    name: str
    verdict: Verdict
    reason: StoredText
    evidence: StoredEvidence = Field(default_factory=dict)
    seconds: float = 0.0
    is_forceable: bool = False
    suppresses: bool = False
    recheck_due_at: AwareDatetime | None = None

    @classmethod
    def passed(cls, name: str, reason: str, **details: Any) -> "Check":
        """Return a check that found no objection; `details` are other fields."""
        return cls(name=name, verdict=Verdict.PASS, reason=reason, **details)

    @classmethod
    def warned(cls, name: str, reason: str, **details: Any) -> "Check":
        """Return a check with a warning for the operator, which does not stop the rollback."""
        return cls(name=name, verdict=Verdict.WARN, reason=reason, **details)

    @classmethod
    def failed(cls, name: str, reason: str, **details: Any) -> "Check":
        """Return a check that stops the rollback."""
        return cls(name=name, verdict=Verdict.FAIL, reason=reason, **details)

    @classmethod
    def skipped(cls, name: str, reason: str, **details: Any) -> "Check":
        """Return a check that was not made; `reason` says why."""
        return cls(name=name, verdict=Verdict.SKIPPED, reason=reason, **details)

    @classmethod
    def failed_if(
        cls, objection: str | None, name: str, otherwise: str, *, is_forceable: bool = False, **details: Any
    ) -> "Check":
        """Return a failed check with the objection as its reason, or a passed check without an objection.

        Args:
            objection: reason why the rollback can't go on; None without an objection.
            name: name of the check.
            otherwise: reason of the passed check.
            is_forceable: whether an operator's `force` overrides the objection; a passed check is never forceable.
            **details: other fields.
        """
        if objection is None:
            return cls.passed(name, otherwise, **details)
        return cls.failed(name, objection, is_forceable=is_forceable, **details)
