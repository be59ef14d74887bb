"""Plain records for `cut`, `grep` and `awk`: a header, then a record a line, with tabs between its fields."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from rollback.text import one_line

Field = object
NOTHING = "-"  # never empty: `awk` and `read` would join two separators


def format_records(header: Sequence[str], records: Iterable[Sequence[Field]]) -> Iterator[str]:
    """Yield the header and the records, a line each."""
    yield "\t".join(header)
    for record in records:
        yield "\t".join(map(format_field, record))


def format_field(value: Field) -> str:
    """Write a field as one word or one line: `yes` and `no`, ISO 8601 in UTC, and `-` for nothing."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    return one_line(str(value)) or NOTHING if value is not None else NOTHING
