"""A check: one question about a rollback, its answer, and why."""

from enum import StrEnum

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
    done about the release; with `look_again_at` not for ever (alarms are edges: a suppressed one never comes again).
    """

    model_config = ConfigDict(frozen=True, extra="ignore")  # a newer version may have written it

    name: str
    verdict: Verdict
    reason: StoredText
    evidence: StoredEvidence = Field(default_factory=dict)
    seconds: float = 0.0
    forceable: bool = False
    suppresses: bool = False
    look_again_at: AwareDatetime | None = None
