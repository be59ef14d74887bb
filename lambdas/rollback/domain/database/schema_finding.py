"""What was found to speak against a release on a schema; one place for the words that all judges use."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict

GONE = "is gone, or has another name"  # of an object that the live schema has not


class Compatibility(StrEnum):
    """Whether a release can work with the schema that is live. Only `compatible` lets a rollback through (rule 12)."""

    COMPATIBLE = "compatible"
    BREAKING = "breaking"  # something that the release may do is refused now
    UNKNOWN = "unknown"  # it can't be told, which blocks too


class Finding(BaseModel):
    """One difference; a compatible one is worth knowing, and blocks nothing.

    Attributes:
        about: the name of the object that differs: `schema.table`, `schema.table.column`, or a type's; empty: not told.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")  # a newer version may have written it

    compatibility: Compatibility
    what: str
    about: str = ""


def breaking(what: str, about: str = "") -> Finding:
    """Something that the release may do is refused now."""
    return Finding(compatibility=Compatibility.BREAKING, what=what, about=about)


def unknown(what: str) -> Finding:
    """It may be refused, or mean something else."""
    return Finding(compatibility=Compatibility.UNKNOWN, what=what)


def remark(what: str) -> Finding:
    """It works, and is worth knowing."""
    return Finding(compatibility=Compatibility.COMPATIBLE, what=what)


def worst(found: tuple[Finding, ...]) -> Compatibility:
    """What all of them together come to."""
    all_of_them = {one.compatibility for one in found}
    for one in (Compatibility.BREAKING, Compatibility.UNKNOWN):
        if one in all_of_them:
            return one
    return Compatibility.COMPATIBLE
