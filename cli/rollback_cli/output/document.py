"""Base of the documents that the reading verbs print: `docs/output.md` promises their stability."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from rollback.check import Check
from rollback.domain.releases.release import Release
from rollback.text import one_line


def _line(value: object) -> object:
    return one_line(value) if isinstance(value, str) else value


Line = Annotated[str, BeforeValidator(_line)]
"""One line of text, without line breaks, tabs, control characters and invisible characters."""


class Part(BaseModel):
    """Part of a document. A schema allows more members, since a later release of the command may add some."""

    model_config = ConfigDict(frozen=True)


class Document(Part):
    """Output of a verb. A change that could break a reader gets another `schema_version`."""

    schema_version: Literal[1] = Field(default=1, description="version of this form; docs/output.md")


class NotRead(Part):
    """Part of the answer that could not be read: its members say nothing about the world."""

    part: Line = Field(description="name of the part")
    reason: Line = Field(description="why not, and what to do")


class CheckResult(Part):
    """A check with its verdict."""

    name: Line
    verdict: Line = Field(description="pass, warn, fail or skipped")
    reason: Line
    evidence: dict[str, Any] = Field(default={}, description="facts that the check saw; the members differ by check")

    @classmethod
    def of(cls, check: Check) -> "CheckResult":
        """Describe a check."""
        return cls(name=check.name, verdict=check.verdict, reason=check.reason, evidence=check.evidence)


class ReleaseRef(Part):
    """A release by its names."""

    version: Line
    fingerprint: Line = Field(description="identity of the release: 64 hexadecimal digits")
    commit: Line | None = Field(default=None, description="git commit; null: not known")
    state: Line = Field(description="candidate, promoted, suspect or quarantined")

    @classmethod
    def of(cls, release: Release) -> "ReleaseRef":
        """Describe a release."""
        return cls(version=release.version, fingerprint=release.fingerprint, commit=release.commit, state=release.state)
