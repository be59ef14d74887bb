"""`rollback verify`: the checks of the running release, and the rollback that they started."""

from collections.abc import Iterator

from pydantic import Field

from rollback.check import Check, Verdict
from rollback.domain.rollback import Rollback
from rollback.verification.checks.evidence_keys import NOT_LOOKED_AT
from rollback_cli.health_check import HealthCheckResult
from rollback_cli.output.document import CheckResult, Document, Line, Part
from rollback_cli.output.records import format_records

_HEADER = ("service", "check", "verdict", "reason", "evidence")
_UNSEEN = "not looked at"


class VerifiedCheck(CheckResult):
    """A check of the last round."""

    is_looked_at: bool = Field(description="false: the question has no answer, whatever the verdict")

    @property
    def shown_verdict(self) -> str:
        """The verdict as a person reads it."""
        return self.verdict if self.is_looked_at else _UNSEEN

    @property
    def shown_evidence(self) -> str:
        """The evidence in one line; empty without any."""
        shown = {name: value for name, value in self.evidence.items() if value not in (self.name, "", [], None)}
        return ", ".join(f"{name}: {value}" for name, value in shown.items())


class StartedRollback(Part):
    """The rollback that a failed check started."""

    execution: Line = Field(description="ARN of its execution, or `direct:…`")
    id: Line | None = Field(description="null: the rollback was only started")
    outcome: Line | None = Field(description="null: the rollback was only started")
    reason: Line = ""

    @classmethod
    def of(cls, rollback: Rollback) -> "StartedRollback":
        """Describe a rollback that was followed to its end."""
        return cls(execution=rollback.execution, id=rollback.id, outcome=rollback.outcome, reason=rollback.reason)


class Verified(Document):
    """Output of `rollback verify`."""

    environment: Line
    service: Line
    verdict: Line = Field(description="healthy, failed, not looked at or not yet")
    rounds: int = Field(description="rounds of checks that were made; 0: the deployment did not settle")
    checks: tuple[VerifiedCheck, ...] = Field(description="checks of the last round")
    rollback: StartedRollback | None = Field(default=None, description="null: no rollback was started")
    rollback_remark: Line = Field(default="", description="why no rollback was started, though one was asked for")


def describe_verification(environment: str, service: str, rounds: int, result: HealthCheckResult) -> Verified:
    """Describe the result of a health check."""
    return Verified(
        environment=environment,
        service=service,
        verdict=result.verdict,
        rounds=rounds,
        checks=tuple(map(_describe_check, result.checks)),
    )


def verification_lines(document: Verified) -> Iterator[str]:
    """Describe the checks for a person, with the evidence of each below."""
    for check in document.checks:
        yield f"{check.shown_verdict:13} {check.name}: {check.reason}"
        if check.shown_evidence:
            yield f"              {check.shown_evidence}"
    yield f"{document.service} is {document.verdict}"


def verification_records(document: Verified) -> Iterator[str]:
    """List the checks, a record each."""
    records = (
        (document.service, check.name, check.shown_verdict, check.reason, check.shown_evidence)
        for check in document.checks
    )
    return format_records(_HEADER, records)


def _describe_check(check: Check) -> VerifiedCheck:
    is_unseen = check.verdict is Verdict.WARN and NOT_LOOKED_AT in check.evidence
    return VerifiedCheck(
        name=check.name,
        verdict=check.verdict,
        reason=check.reason,
        evidence=check.evidence,
        is_looked_at=not is_unseen and check.verdict is not Verdict.SKIPPED,
    )
