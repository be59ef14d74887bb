"""Classes of a migration by its effect on the release before it, and their combination."""

from collections.abc import Iterable
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

ANY_NAME = "*"  # in place of a name, after a DROP … CASCADE


class Impact(StrEnum):
    """Effect of a migration on the release before it, from the least to the worst."""

    NONE = "none"  # no client can notice it, except by speed
    ADDITIVE = "additive"  # it adds objects; existing ones behave as before
    UNKNOWN = "unknown"  # the SQL does not show its effect
    BREAKING = "breaking"  # a statement of the release is refused, or returns something else


class MigrationImpact(BaseModel):
    """A class and its reasons.

    Attributes:
        impact: the class.
        is_visible_in_structure: a comparison of structures (`schema.structure_diff`) shows whatever makes the class
            worse than additive, and may overrule it. Rewritten rows and privileges show in no structure.
        reasons: sentences about the statements that led to the class.
        removes: `kind name` of dropped or renamed objects, such as `table orders`; the name `*` means any of the kind.
        makes: `kind name` of created objects. An object that is removed and created again is another object of the
            same name: the structure shows no difference.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")  # a newer version may have written it

    impact: Impact
    is_visible_in_structure: bool = True
    reasons: tuple[str, ...] = ()
    # Left out of the JSON where empty: so the digest of an older document stays the same.
    removes: tuple[str, ...] = Field(default=(), exclude_if=lambda value: not value)
    makes: tuple[str, ...] = Field(default=(), exclude_if=lambda value: not value)


NO_IMPACT = MigrationImpact(impact=Impact.NONE)
ADDITIVE = MigrationImpact(impact=Impact.ADDITIVE)


def breaking(
    reason: str, *, shows: bool = True, removes: tuple[str, ...] = (), makes: tuple[str, ...] = ()
) -> MigrationImpact:
    """A change that makes the database refuse a statement of the release before it."""
    return MigrationImpact(
        impact=Impact.BREAKING, is_visible_in_structure=shows, reasons=(reason,), removes=removes, makes=makes
    )


def unknown(reason: str, *, shows: bool = False) -> MigrationImpact:
    """A change whose effect the SQL does not show."""
    return MigrationImpact(impact=Impact.UNKNOWN, is_visible_in_structure=shows, reasons=(reason,))


def additive(*makes: str) -> MigrationImpact:
    """A change that only creates the named objects."""
    return MigrationImpact(impact=Impact.ADDITIVE, makes=makes)


def combine_impacts(parts: Iterable[MigrationImpact]) -> MigrationImpact:
    """Combine impacts to the worst class with the reasons of all; no impacts mean no change.

    Args:
        parts: impacts in the order in which they are applied. An object that is created and then removed leaves
            nothing. An object that is removed and then created has lost its rows.
    """
    impacts = tuple(parts)
    order = list(Impact)
    recreated = _list_recreated(impacts)
    reasons = [reason for part in impacts for reason in part.reasons]
    reasons += [f"{name} is removed and created again, which the structure does not show" for name in recreated]
    return MigrationImpact(
        impact=max((part.impact for part in impacts), key=order.index, default=Impact.NONE),
        is_visible_in_structure=all(part.is_visible_in_structure for part in impacts) and not recreated,
        reasons=tuple(dict.fromkeys(reasons)),
        removes=tuple(dict.fromkeys(name for part in impacts for name in part.removes)),
        makes=tuple(dict.fromkeys(name for part in impacts for name in part.makes)),
    )


def _list_recreated(impacts: tuple[MigrationImpact, ...]) -> tuple[str, ...]:
    removed_names, recreated_names = set[str](), list[str]()
    for impact in impacts:
        for name in impact.makes:
            if removed_names & {name, f"{name.split(' ')[0]} {ANY_NAME}", ANY_NAME}:
                recreated_names.append(name)
        removed_names.update(impact.removes)
    return tuple(dict.fromkeys(recreated_names))
