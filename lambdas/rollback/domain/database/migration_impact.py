"""The classes of a migration, and how those of its statements add up."""

from collections.abc import Iterable
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

ANY_NAME = "*"  # instead of a name, after a DROP … CASCADE


class Impact(StrEnum):
    """What a migration means for the release before it, from the least to the worst."""

    NONE = "none"  # it can't be noticed, but for speed
    ADDITIVE = "additive"  # there is more; what was there still does what it did
    UNKNOWN = "unknown"  # it can't be told
    BREAKING = "breaking"  # something that the release may do is refused, or gives what it did not


class MigrationImpact(BaseModel):
    """A class and why.

    `is_visible_in_structure`: what makes it worse than additive can be seen by comparing schemas (`schema_structure`),
    so that the arbiter's word counts for more. Rewritten rows and privileges can't.

    Attributes:
        removes: `kind name` of what is dropped or renamed, such as `table orders`; `*` for a name is any of the kind.
        makes: the same of what is created. What was removed and is made again is another thing with the same name:
            the structure shows no difference.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")  # a newer version may have written it

    impact: Impact
    is_visible_in_structure: bool = True
    reasons: tuple[str, ...] = ()
    # Left out where they are empty: the digest of what an older version stored stays what it was.
    removes: tuple[str, ...] = Field(default=(), exclude_if=lambda value: not value)
    makes: tuple[str, ...] = Field(default=(), exclude_if=lambda value: not value)


NO_IMPACT = MigrationImpact(impact=Impact.NONE)
ADDITIVE = MigrationImpact(impact=Impact.ADDITIVE)


def breaking(
    why: str, *, shows: bool = True, removes: tuple[str, ...] = (), makes: tuple[str, ...] = ()
) -> MigrationImpact:
    """Something of the release before is refused."""
    return MigrationImpact(
        impact=Impact.BREAKING, is_visible_in_structure=shows, reasons=(why,), removes=removes, makes=makes
    )


def unknown(why: str, *, shows: bool = False) -> MigrationImpact:
    """It can't be told from the text."""
    return MigrationImpact(impact=Impact.UNKNOWN, is_visible_in_structure=shows, reasons=(why,))


def additive(*makes: str) -> MigrationImpact:
    """There is more: the named things."""
    return MigrationImpact(impact=Impact.ADDITIVE, makes=makes)


def combine_impacts(parts: Iterable[MigrationImpact]) -> MigrationImpact:
    """The worst of them, with the reasons of all; no parts are no change.

    Args:
        parts: in the order in which they are applied: made and then removed leaves nothing, the reverse is a loss.
    """
    judged = tuple(parts)
    order = list(Impact)
    again = _made_again(judged)
    reasons = [reason for one in judged for reason in one.reasons]
    reasons += [f"{name} is removed and made again, which the structure does not show" for name in again]
    return MigrationImpact(
        impact=max((one.impact for one in judged), key=order.index, default=Impact.NONE),
        is_visible_in_structure=all(one.is_visible_in_structure for one in judged) and not again,
        reasons=tuple(dict.fromkeys(reasons)),
        removes=tuple(dict.fromkeys(name for one in judged for name in one.removes)),
        makes=tuple(dict.fromkeys(name for one in judged for name in one.makes)),
    )


def _made_again(parts: tuple[MigrationImpact, ...]) -> tuple[str, ...]:
    removed, again = set[str](), list[str]()
    for part in parts:
        for name in part.makes:
            if removed & {name, f"{name.split(' ')[0]} {ANY_NAME}", ANY_NAME}:
                again.append(name)
        removed.update(part.removes)
    return tuple(dict.fromkeys(again))
