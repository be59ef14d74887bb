"""Items of the ledger: the versions that this code reads, and the error for an item that it can't read.

Every document has a `schema_version`. This code writes `SCHEMA_VERSION`, and reads one version back and one forward:
the stack may go back one version while a rollback is open. So a version may add fields with defaults. It must wait
one version before it writes a new value of an enumeration that decides something.
"""

import json
from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import BaseModel, ValidationError

from rollback.errors import UnreadableItem

SCHEMA_VERSION = 2
READABLE = range(SCHEMA_VERSION - 1, SCHEMA_VERSION + 2)

_MAX_REASON_CHARACTERS = 300


StoredT = TypeVar("StoredT", bound=BaseModel)
T = TypeVar("T")


@dataclass(frozen=True)
class ReadResult(Generic[T]):
    """Items of one listing, and the errors of those that could not be read."""

    items: tuple[T, ...] = ()
    unreadable: tuple[UnreadableItem, ...] = ()


@dataclass(frozen=True)
class SkippedItem:
    """An item that could not be read when needed, and whether an operator was notified."""

    key: str
    why: str
    is_reported: bool = False


def read_stored(kind: type[StoredT], key: str, text: str | bytes | None) -> StoredT:
    """Read one item.

    Args:
        kind: model of the item.
        key: `<partition key> / <sort key>`, for the error.
        text: JSON of the item; None: the item has no body.

    Raises:
        UnreadableItem: the text is no JSON, misses a field, has an unknown value, or was written by a version that is
            more than one ahead or behind.
    """
    if not isinstance(text, str | bytes):
        raise UnreadableItem(key, "it has no body")
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnreadableItem(key, f"its body is no JSON ({str(error)[:_MAX_REASON_CHARACTERS]})") from error
    version = raw.get("schema_version") if isinstance(raw, dict) else None
    if isinstance(version, int) and version not in READABLE:
        age = "newer" if version > SCHEMA_VERSION else "older"
        raise UnreadableItem(key, f"it has schema version {version}, {age} than this version of the code reads")
    try:
        return kind.model_validate_json(text)
    except (ValidationError, ValueError, RecursionError) as error:
        raise UnreadableItem(key, _in_one_line(error)) from error


def _in_one_line(error: Exception) -> str:
    """Name the first wrong field, never its value: values may be secrets."""
    if not isinstance(error, ValidationError):
        return type(error).__name__
    first_error = error.errors(include_url=False, include_input=False, include_context=False)[0]
    field = ".".join(str(part) for part in first_error["loc"]) or "the whole"
    return f"{field}: {first_error['msg']}"[:_MAX_REASON_CHARACTERS]
