"""Judge whether a column of another type still accepts and returns the values that a release expects.

Types are named as Postgres's `format_type` does: `character varying(80)`, `numeric(10,2)`,
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


def judge_type(recorded_type: str, current_type: str) -> Compatibility:
    """Judge a change of a column's type for a release that knows the former type.

    Compatible: every value fits, and reads as before.
    Breaking: the column refuses values of the release, or Postgres refuses its comparisons. A narrower type refuses
        values, and `text = integer` has no operator.
    Unknown: the SQL works, but the client receives another value. node-postgres turns `int8` and `numeric` into
        strings and `int4` into numbers (README of node-pg-types). A timestamp of another kind means another moment.
        `json` keeps its text, `jsonb` does not.
    """
    if recorded_type == current_type:
        return Compatibility.COMPATIBLE
    (base, limits), (new_base, new_limits) = _split_type(recorded_type), _split_type(current_type)
    if base == new_base:
        return _judge_limits(base, limits, new_limits)
    if base == "character varying" and new_base == "text":
        return Compatibility.COMPATIBLE
    if base == "text" and new_base == "character varying":
        return Compatibility.BREAKING if new_limits else Compatibility.COMPATIBLE
    if base in _INTEGERS and new_base in _INTEGERS:
        return _judge_integers(base, new_base)
    if _FAMILIES.get(base) is not None and _FAMILIES.get(base) == _FAMILIES.get(new_base):
        return Compatibility.UNKNOWN
    if base not in _FAMILIES and new_base in ("text", "character varying"):
        return Compatibility.UNKNOWN  # a former enum: only a release that casts to the enum fails
    return Compatibility.BREAKING


def _split_type(type_name: str) -> tuple[str, tuple[int, ...]]:
    """Split `timestamp(3) with time zone[]` into `timestamp with time zone[]` and its limits."""
    shape = _SHAPE.match(type_name)
    if shape is None:
        return type_name, ()
    limits = tuple(int(limit) for limit in shape["limits"].split(",")) if shape["limits"] else ()
    return shape["base"] + shape["rest"], limits


def _judge_limits(base: str, recorded: tuple[int, ...], current: tuple[int, ...]) -> Compatibility:
    """Judge another length, precision or scale; an empty tuple means no limit."""
    if base == "character varying":
        return (
            Compatibility.COMPATIBLE
            if not current or (recorded and current[0] >= recorded[0])
            else Compatibility.BREAKING
        )
    if base == "numeric" and current:
        if not recorded or current[0] - current[1] < recorded[0] - recorded[1]:
            return Compatibility.BREAKING  # too few digits before the point: "numeric field overflow"
        return (
            Compatibility.COMPATIBLE if current[1] == recorded[1] else Compatibility.UNKNOWN
        )  # rounded, or more zeros
    return Compatibility.UNKNOWN


def _judge_integers(recorded_type: str, current_type: str) -> Compatibility:
    if _INTEGERS.index(current_type) < _INTEGERS.index(recorded_type):
        return Compatibility.BREAKING
    return Compatibility.UNKNOWN if current_type == "bigint" else Compatibility.COMPATIBLE
