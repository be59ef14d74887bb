"""Whether a column of another type still takes and gives what a release writes and reads.

Types are as Postgres's `format_type` calls them: `character varying(80)`, `numeric(10,2)`,
`timestamp with time zone[]`.
"""

import re

from rollback.domain.database.schema_verdict import Compatibility

_SHAPE = re.compile(r"^(?P<base>[^(]+?)(?:\((?P<limits>[\d,-]+)\))?(?P<rest>[^(]*)$")
_FAMILIES = {
    "text": "text",
    "character varying": "text",
    "character": "text",
    "smallint": "number",
    "integer": "number",
    "bigint": "number",
    "numeric": "number",
    "real": "number",
    "double precision": "number",
    "boolean": "boolean",
    "uuid": "uuid",
    "bytea": "bytes",
    "json": "json",
    "jsonb": "json",
    "date": "time",
    "timestamp without time zone": "time",
    "timestamp with time zone": "time",
    "time without time zone": "time of day",
    "time with time zone": "time of day",
    "interval": "interval",
}
_INTEGERS = ("smallint", "integer", "bigint")


def judge_type(was: str, now: str) -> Compatibility:
    """What a change of a column's type does to a release that knows the old one.

    Compatible: every value fits, and reads as it did. Breaking: values of the release are refused (narrower), or its
    comparisons are (`text = integer` has no operator). Unknown: SQL works, but the client is given something else:
    node-postgres turns `int8` and `numeric` into strings, `int4` into numbers (README of node-pg-types), a timestamp
    means another moment, `json` keeps its text and `jsonb` does not.
    """
    if was == now:
        return Compatibility.COMPATIBLE
    (base, limits), (new_base, new_limits) = _parsed(was), _parsed(now)
    if base == new_base:
        return _same_base(base, limits, new_limits)
    if base == "character varying" and new_base == "text":
        return Compatibility.COMPATIBLE
    if base == "text" and new_base == "character varying":
        return Compatibility.BREAKING if new_limits else Compatibility.COMPATIBLE
    if base in _INTEGERS and new_base in _INTEGERS:
        return _integers(base, new_base)
    if _FAMILIES.get(base) is not None and _FAMILIES.get(base) == _FAMILIES.get(new_base):
        return Compatibility.UNKNOWN
    if base not in _FAMILIES and new_base in ("text", "character varying"):
        return Compatibility.UNKNOWN  # an enum that was opened: a release that casts to the type fails, others do not
    return Compatibility.BREAKING


def _parsed(called: str) -> tuple[str, tuple[int, ...]]:
    """`timestamp(3) with time zone[]` → its base with what follows the limits, and the limits."""
    shape = _SHAPE.match(called)
    if shape is None:
        return called, ()
    limits = tuple(int(one) for one in shape["limits"].split(",")) if shape["limits"] else ()
    return shape["base"] + shape["rest"], limits


def _same_base(base: str, was: tuple[int, ...], now: tuple[int, ...]) -> Compatibility:
    """Another length, precision or scale; none is no limit."""
    if base == "character varying":
        return Compatibility.COMPATIBLE if not now or (was and now[0] >= was[0]) else Compatibility.BREAKING
    if base == "numeric" and now:
        if not was or now[0] - now[1] < was[0] - was[1]:
            return Compatibility.BREAKING  # too few digits before the point: "numeric field overflow"
        return Compatibility.COMPATIBLE if now[1] == was[1] else Compatibility.UNKNOWN  # rounded, or more zeros
    return Compatibility.UNKNOWN


def _integers(was: str, now: str) -> Compatibility:
    if _INTEGERS.index(now) < _INTEGERS.index(was):
        return Compatibility.BREAKING
    return Compatibility.UNKNOWN if now == "bigint" else Compatibility.COMPATIBLE
