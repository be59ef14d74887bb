"""Where the git commit of a release is told: a variable of its container, the tag of its image, or a label of that."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from rollback.text import recorded_name

PATTERN = r"^(variable:[A-Za-z_][A-Za-z0-9_]{0,127}|tag|label:[!-~]{1,128})$"
_SHA = re.compile(r"(?:^|[-_.])([0-9a-f]{7,40})$", re.ASCII)  # alone, or behind a word: `sha-1a2b3c4`, `main-1a2b3c4`
_FULL_SHA = 40


class Source(StrEnum):
    """The kinds."""

    VARIABLE = "variable"
    TAG = "tag"
    LABEL = "label"


@dataclass(frozen=True)
class CommitSource:
    """`name` of the variable or the label."""

    kind: Source
    name: str = ""

    @classmethod
    def of(cls, setting: str) -> "CommitSource":
        """A setting `commit_from`, which matches `PATTERN`."""
        kind, _, name = setting.partition(":")
        return cls(Source(kind), name)

    def find_commit(self, environment: Mapping[str, str], tag: str) -> str | None:
        """The commit as far as the task definition tells it; a label is the registry's to tell."""
        match self.kind:
            case Source.VARIABLE:
                return clean_commit(environment.get(self.name))
            case Source.TAG:
                return find_commit_in_tag(tag)
            case Source.LABEL:
                return None


def find_commit_in_tag(tag: str) -> str | None:
    """The git SHA that a tag is, or ends with. Digits alone are more often a date or a build's number."""
    found = _SHA.search(tag)
    sha = found.group(1) if found is not None else ""
    return sha if sha and (len(sha) == _FULL_SHA or not sha.isdecimal()) else None


def clean_commit(told: str | None) -> str | None:
    """A commit as it is recorded; None: not told."""
    text = (told or "").strip()
    return recorded_name(text) if text else None
