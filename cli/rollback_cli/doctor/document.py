"""The document of `rollback doctor`: every check with its verdict, and what to do."""

from collections.abc import Iterable

from pydantic import Field

from rollback.check import Verdict
from rollback_cli.doctor.finding import Finding, Group, count_verdicts, is_healthy
from rollback_cli.output.document import Document, Line, Part


class Examined(Part):
    """Result of one check."""

    group: Group
    check: Line = Field(description="name of the check; with the service where the environment has several")
    verdict: Verdict = Field(description="skipped: the object was not looked at, which is never a pass")
    seen: Line
    to_do: Line = Field(description="next action of the operator; empty if there is nothing to do")


class Diagnosis(Document):
    """Output of `rollback doctor`."""

    environment: Line
    is_healthy: bool = Field(description="nothing failed, and everything was looked at")
    counts: dict[Verdict, int]
    findings: tuple[Examined, ...]

    @classmethod
    def of(cls, environment: str, findings: Iterable[Finding]) -> "Diagnosis":
        """Describe findings."""
        listed = tuple(findings)
        counts = count_verdicts(listed)
        return cls(
            environment=environment,
            is_healthy=is_healthy(counts),
            counts=dict(counts),
            findings=tuple(
                Examined(group=f.group, check=f.check, verdict=f.verdict, seen=f.seen, to_do=f.to_do) for f in listed
            ),
        )
