"""The classes of a migration, and how those of its statements add up."""

from collections.abc import Iterable
from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class Impact(StrEnum):
    """What a migration means for the release before it, from the least to the worst."""

    NONE = "none"  # it can't be noticed, but for speed
    ADDITIVE = "additive"  # there is more; what was there still does what it did
    UNKNOWN = "unknown"  # it can't be told
    BREAKING = "breaking"  # something that the release may do is refused, or gives what it did not


class MigrationImpact(BaseModel):
    """A class and why.

    `shows_in_structure`: what makes it worse than additive can be seen by comparing schemas (`schema_structure`), so
    that the arbiter's word counts for more. Rewritten rows and privileges can't.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")  # a newer version may have written it

    impact: Impact
    shows_in_structure: bool = True
    reasons: tuple[str, ...] = ()


NOTHING = MigrationImpact(impact=Impact.NONE)
ADDITIVE = MigrationImpact(impact=Impact.ADDITIVE)


def breaking(why: str, *, shows: bool = True) -> MigrationImpact:
    """Something of the release before is refused."""
    return MigrationImpact(impact=Impact.BREAKING, shows_in_structure=shows, reasons=(why,))


def unknown(why: str, *, shows: bool = False) -> MigrationImpact:
    """It can't be told from the text."""
    return MigrationImpact(impact=Impact.UNKNOWN, shows_in_structure=shows, reasons=(why,))


def together(parts: Iterable[MigrationImpact]) -> MigrationImpact:
    """The worst of them, with the reasons of all; no parts are no change."""
    judged = tuple(parts)
    order = list(Impact)
    return MigrationImpact(
        impact=max((one.impact for one in judged), key=order.index, default=Impact.NONE),
        shows_in_structure=all(one.shows_in_structure for one in judged),
        reasons=tuple(dict.fromkeys(reason for one in judged for reason in one.reasons)),
    )
