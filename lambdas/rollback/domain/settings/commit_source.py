"""The source of a release's git commit: a variable of its container, the tag of its image, or a label of its image."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from rollback.text import recorded_name

PATTERN = r"^(variable:[A-Za-z_][A-Za-z0-9_]{0,127}|tag|label:[!-~]{1,128})$"
_SHA = re.compile(r"(?:^|[-_.])([0-9a-f]{7,40})$", re.ASCII)  # alone, or behind a word: `sha-1a2b3c4`, `main-1a2b3c4`
_FULL_SHA = 40


class Source(StrEnum):
    """Kinds of source."""

    VARIABLE = "variable"
    TAG = "tag"
    LABEL = "label"


@dataclass(frozen=True)
class CommitSource:
    """A source.

    Attributes:
        kind: its kind.
        name: name of the variable or the label; empty for a tag.
    """

    kind: Source
    name: str = ""

    @classmethod
    def of(cls, setting: str) -> "CommitSource":
        """Parse a setting `commit_from`, which matches `PATTERN`."""
        kind, _, name = setting.partition(":")
        return cls(Source(kind), name)

    def find_commit(self, environment: Mapping[str, str], tag: str) -> str | None:
        """Find the commit in the task definition; None: there is none, or the registry has the label."""
        match self.kind:
            case Source.VARIABLE:
                return clean_commit(environment.get(self.name))
            case Source.TAG:
                return find_commit_in_tag(tag)
            case Source.LABEL:
                return None


def find_commit_in_tag(tag: str) -> str | None:
    """Find the git SHA that a tag is, or ends with; a short number is more often a date or a build."""
    match = _SHA.search(tag)
    sha = match.group(1) if match is not None else ""
    return sha if sha and (len(sha) == _FULL_SHA or not sha.isdecimal()) else None


def clean_commit(commit: str | None) -> str | None:
    """The commit in the form that is recorded; None: there is none."""
    text = (commit or "").strip()
    return recorded_name(text) if text else None
