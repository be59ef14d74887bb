"""The verdict whether a release can work with the live schema, and the findings that it rests on."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from rollback.domain.database.migration_impact import MigrationImpact
from rollback.text import STORED_LINE_LIMIT, truncate

GONE = "is gone, or has another name"  # said of an object that the live schema does not have
_MAX_REASON = 2000
_MAX_TAGS = 20
_MAX_LINES = 20


class Compatibility(StrEnum):
    """Ability of a release to work with the live schema. Rule 12: only `compatible` lets a rollback through."""

    COMPATIBLE = "compatible"
    BREAKING = "breaking"  # the live schema refuses a statement that the release may send
    UNKNOWN = "unknown"  # the evidence does not decide, which blocks too


class Finding(BaseModel):
    """One difference between two schemas; a compatible one is worth knowing, and blocks nothing.

    Attributes:
        compatibility: effect of the difference on the release.
        difference: the difference, in words.
        object_name: object that differs: `schema.table`, `schema.table.column` or a type; empty: not recorded.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")  # a newer version may have written it

    compatibility: Compatibility
    difference: str
    object_name: str = ""


def breaking_finding(difference: str, object_name: str = "") -> Finding:
    """A difference that makes the database refuse a statement of the release."""
    return Finding(compatibility=Compatibility.BREAKING, difference=difference, object_name=object_name)


def unknown_finding(difference: str) -> Finding:
    """A difference that may refuse a statement of the release, or change its result."""
    return Finding(compatibility=Compatibility.UNKNOWN, difference=difference)


def harmless_finding(difference: str) -> Finding:
    """A difference that the release works with, and that is worth knowing."""
    return Finding(compatibility=Compatibility.COMPATIBLE, difference=difference)


def find_worst(findings: tuple[Finding, ...]) -> Compatibility:
    """The worst effect among the findings; compatible if there are none."""
    effects = {finding.compatibility for finding in findings}
    worst_first = (Compatibility.BREAKING, Compatibility.UNKNOWN)
    return next((effect for effect in worst_first if effect in effects), Compatibility.COMPATIBLE)


class JournalRelation(StrEnum):
    """The live journal, compared with the one that the target was good with."""

    EQUAL = "equal"
    AHEAD = "ahead"
    BEHIND = "behind"
    DIVERGED = "diverged"  # each has a row that the other lacks
    ABSENT = "absent"  # neither exists: `drizzle-kit push` keeps none
    ONE_SIDED = "one-sided"  # one of them is not known, such as a record that searched for Drizzle's journal only


class SchemaVerdict(BaseModel):
    """Verdict on the target and the live schema, with its evidence.

    Attributes:
        compatibility: the verdict.
        reason: the verdict's reason, with the differences and reasons that led to it.
        journal: relation of the two journals.
        since: tags (or the start of the hash) of the migrations applied since the target, oldest first.
        can_step_down: each of those migrations ships a down file.
        impact: their combined class; None: none is known to have been applied.
        findings: differences of the structures; None: the target has no snapshot.
        attributed_to: of a breaking verdict, tags of the shipped migrations that cause it (`schema.attribution`).
        unexplained: of a breaking verdict, the differences that no shipped migration explains.
        left_out: number of tags, findings and reasons that were dropped to fit a document.
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
        """Whether migrations that later releases shipped are the only cause of a breaking verdict."""
        return self.compatibility is Compatibility.BREAKING and bool(self.attributed_to) and not self.unexplained

    @property
    def bounded(self) -> "SchemaVerdict":
        """A copy that fits into a rollback's document, the worst findings first; `left_out` counts the rest."""
        worst_first = (Compatibility.BREAKING, Compatibility.UNKNOWN, Compatibility.COMPATIBLE)
        findings = sorted(self.findings or (), key=lambda finding: worst_first.index(finding.compatibility))
        bounded_findings = tuple(
            finding.model_copy(update={"difference": truncate(finding.difference, STORED_LINE_LIMIT)})
            for finding in findings[:_MAX_LINES]
        )
        reasons = self.impact.reasons if self.impact is not None else ()
        impact = self.impact.model_copy(update={"reasons": _bound_lines(reasons)}) if self.impact is not None else None
        lists = (self.since, self.attributed_to, self.unexplained, findings, reasons)
        changes = {
            "reason": truncate(self.reason, _MAX_REASON),
            "since": self.since[-_MAX_TAGS:],
            "attributed_to": self.attributed_to[-_MAX_TAGS:],
            "unexplained": _bound_lines(self.unexplained),
            "impact": impact,
            "findings": None if self.findings is None else bounded_findings,
            "left_out": self.left_out + sum(max(0, len(entries) - _MAX_LINES) for entries in lists),
        }
        return self.model_copy(update=changes)

    @property
    def in_brief(self) -> "SchemaVerdict":
        """The decision and its reason without the findings: small enough for a standing plan."""
        return self.bounded.model_copy(update={"impact": None, "findings": None})


def _bound_lines(lines: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(truncate(line, STORED_LINE_LIMIT) for line in lines[:_MAX_LINES])


def unknown_verdict(reason: str) -> SchemaVerdict:
    """A verdict without a usable observation of the live schema.

    Args:
        reason: why there is none.
    """
    return SchemaVerdict(
        compatibility=Compatibility.UNKNOWN,
        reason=f"{reason}: it is not known whether the target can work with the schema",
        journal=JournalRelation.ONE_SIDED,
    )
