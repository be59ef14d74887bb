"""The verdict on whether a release works with the live schema, and the evidence that it rests on."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from rollback.domain.database.migration_impact import MigrationImpact
from rollback.domain.database.schema_finding import Compatibility, Finding
from rollback.text import STORED_LINE_LIMIT, truncate

_LONGEST_REASON = 2000


_MOST_TAGS = 20


_MOST_TOLD = 20


def _short(lines: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(truncate(line, STORED_LINE_LIMIT) for line in lines[:_MOST_TOLD])


class JournalRelation(StrEnum):
    """The live journal, seen from the one that the target was good with."""

    EQUAL = "equal"
    AHEAD = "ahead"
    BEHIND = "behind"
    DIVERGED = "diverged"  # each has what the other has not
    ABSENT = "absent"  # of neither is there one: `drizzle-kit push` keeps none
    ONE_SIDED = "one-sided"  # one of them is not known, as of a record that sought Drizzle's journal only


class SchemaVerdict(BaseModel):
    """The judgement and what it stands on.

    Attributes:
        since: tags (or the start of the hash) of what was applied since the target, oldest first.
        can_step_down: each of those ships a down file.
        findings: of the structure; None: there is no snapshot of the target's.
        attributed_to: of a breaking verdict, tags of the shipped migrations that cause it (`schema_attribution`).
        unexplained: of a breaking verdict, the differences that no shipped migration explains.
        left_out: how many tags, findings and reasons were truncate off to make it fit into a document.
    """

    model_config = ConfigDict(frozen=True)

    compatibility: Compatibility
    reason: str
    journal: JournalRelation
    since: tuple[str, ...] = ()
    can_step_down: bool = False
    impact: MigrationImpact | None = None
    findings: tuple[Finding, ...] | None = None
    attributed_to: tuple[str, ...] = ()
    unexplained: tuple[str, ...] = ()
    left_out: int = 0

    @property
    def is_attributed(self) -> bool:
        """Whether migrations that later releases shipped are all that keeps the release from running."""
        return self.compatibility is Compatibility.BREAKING and bool(self.attributed_to) and not self.unexplained

    @property
    def bounded(self) -> "SchemaVerdict":
        """A copy that fits into a rollback's document, with a count of what was truncate off. The worst findings
        stay."""
        order = (Compatibility.BREAKING, Compatibility.UNKNOWN, Compatibility.COMPATIBLE)
        findings = sorted(self.findings or (), key=lambda one: order.index(one.compatibility))
        reasons = self.impact.reasons if self.impact is not None else ()
        impact = self.impact.model_copy(update={"reasons": _short(reasons)}) if self.impact is not None else None
        told = tuple(
            one.model_copy(update={"what": truncate(one.what, STORED_LINE_LIMIT)}) for one in findings[:_MOST_TOLD]
        )
        lists = (self.since, self.attributed_to, self.unexplained, findings, reasons)
        short = {
            "reason": truncate(self.reason, _LONGEST_REASON),
            "since": self.since[-_MOST_TAGS:],
            "attributed_to": self.attributed_to[-_MOST_TAGS:],
            "unexplained": _short(self.unexplained),
            "impact": impact,
            "findings": None if self.findings is None else told,
            "left_out": self.left_out + sum(max(0, len(one) - _MOST_TOLD) for one in lists),
        }
        return self.model_copy(update=short)

    @property
    def in_brief(self) -> "SchemaVerdict":
        """The decision and its reason without the findings: small enough for a standing plan."""
        return self.bounded.model_copy(update={"impact": None, "findings": None})


def unknown_verdict(reason: str) -> SchemaVerdict:
    """Without a look at the live schema that counts."""
    return SchemaVerdict(
        compatibility=Compatibility.UNKNOWN,
        reason=f"{reason}: whether the target can work with it can't be told",
        journal=JournalRelation.ONE_SIDED,
    )
