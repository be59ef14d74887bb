"""Which shipped migration breaks a release: only that is evidence enough to overwrite a database's data.

A difference that no migration explains (a partition that retention dropped, a change by hand, a table of Neon's own)
says that the release can't run. It does not say that the data of an earlier time would mend it.
"""

import re
from collections.abc import Iterable

from rollback.model.release_schema import ShippedMigration
from rollback.model.schema_finding import Compatibility, Finding
from rollback.model.statement_impact import Impact


def destructive(applied: Iterable[ShippedMigration]) -> tuple[ShippedMigration, ...]:
    """The migrations that are classified as breaking, in their order."""
    return tuple(one for one in applied if one.impact.impact is Impact.BREAKING)


def attribute(
    findings: tuple[Finding, ...] | None, applied: tuple[ShippedMigration, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Tags of the migrations that break the release, and the differences that no migration explains.

    Without a breaking difference of the structure the classification alone decides: rewritten rows do not show.

    Args:
        findings: differences of the structure; None: there is no snapshot to compare with.
        applied: shipped migrations that the database applied after those of the release.
    """
    suspects = destructive(applied)
    differences = tuple(one for one in findings or () if one.compatibility is Compatibility.BREAKING)
    if not differences:
        return tuple(one.tag for one in suspects), ()
    guilty = tuple(one.tag for one in suspects if any(_explains(one, difference) for difference in differences))
    left = tuple(one.what for one in differences if not any(_explains(suspect, one) for suspect in suspects))
    return guilty, left


def _explains(migration: ShippedMigration, difference: Finding) -> bool:
    """Whether the classification names the object: its table, and its column if the difference is a column's.

    A name that the classification cut off, and one that a CASCADE took along, is not explained.
    """
    text = " ".join((*migration.impact.reasons, *migration.impact.removes)).lower()
    names = difference.about.lower().split("(", maxsplit=1)[0].split(".")
    own = names[1:] or names  # the schema is seldom written out
    return bool(difference.about) and all(_is_named(name, text) for name in own)


def _is_named(name: str, text: str) -> bool:
    return re.search(rf"(?<![\w$]){re.escape(name)}(?![\w$])", text) is not None
