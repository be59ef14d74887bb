"""Text from outside: its limits, and how it is shown.

Requests, events, versions and the answers of AWS, Neon and Postgres may hold control characters, lone surrogates and
invisible characters. Such characters could forge lines, colours and names in a page or a terminal.
"""

import hashlib
import re
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import unquote

from pydantic import BeforeValidator

# Limits in characters. A rollback document holds tens of such texts, and DynamoDB takes 400 KB an item.
NAME_LIMIT = 128  # for a version, commit or id: the limit of an image's tag (OCI distribution specification)
TARGET_LIMIT = 400  # for an operator's name of a release, of which an image by digest is the longest
REQUESTER_LIMIT = 200
REASON_LIMIT = 1_000  # for an operator's or an event's reason
STORED_LIMIT = 2_000  # for the reason of a check or an outcome, which may quote several other texts
STORED_LINE_LIMIT = 500  # for a line of a log or an event of ECS
ERROR_LIMIT = 1_000
MESSAGE_LIMIT = 500  # for a message of another service: AWS quotes its input, which may be long
LINE_LIMIT = 4_000  # for a line of a report
QUOTED_LIMIT = 80  # for input that an error quotes

_MAX_NUMBER = 10**18  # larger numbers are rounded by JSON's readers, and Python refuses to write thousands of digits
_SEPARATORS, _SHORTEST_SECRET, _REMOVED = re.compile(r"[/?&=#:@\s]+"), 6, "(removed)"
_REPLACED = "\ufffd"
_CUT = "…"
# Letters and marks by their category, and yet invisible (Unicode: Default_Ignorable_Code_Point).
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0")


def one_line(text: str, limit: int = LINE_LIMIT) -> str:
    """Turn a text into one line: line breaks and tabs become spaces, invisible characters a replacement character."""
    shortened = truncate(text, limit)
    if shortened.isascii() and shortened.isprintable():
        return shortened
    return "".join(map(_shown, shortened))


def service_message(text: str, limit: int = MESSAGE_LIMIT) -> str:
    """Turn another service's message into a short line: runs of blanks and line breaks become one space."""
    return one_line(" ".join(text.split()), limit)


def without_secret(text: str, secret: str) -> str:
    """Replace a secret in another service's text, which may quote the request.

    A URL is quoted in parts too, such as its path. So each long enough part of the secret is replaced, decoded or not.
    """
    pieces = (secret, *(piece for piece in _SEPARATORS.split(secret) if len(piece) >= _SHORTEST_SECRET))
    spellings = {spelling for piece in pieces for spelling in (piece, unquote(piece)) if spelling}
    for spelling in sorted(spellings, key=len, reverse=True):
        text = text.replace(spelling, _REMOVED)
    return text


def several_lines(text: str, limit: int = LINE_LIMIT) -> str:
    """Clean a text and keep its line breaks."""
    return "\n".join(one_line(line, limit) for line in truncate(text, limit).split("\n"))


def paragraph(text: str) -> list[str]:
    """Turn a text into lines of a report; all but the first are indented, so that they can't pass for report lines."""
    first, *others = several_lines(text).split("\n")
    return [first, *(f"  {line}" for line in others)]


def truncate(text: str, limit: int) -> str:
    """Cut a text to a number of characters, with an ellipsis at the end of a cut text."""
    return text if len(text) <= limit else text[: limit - 1] + _CUT


def is_showable(text: str) -> bool:
    """Report whether the text is shown unchanged."""
    return all(_shown(character) == character for character in text)


def recorded_name(text: str) -> str:
    """Clean a team's name for the ledger.

    A changed name ends with a digest of the original, so that different names stay different.
    """
    shown = one_line(text.strip(), NAME_LIMIT)
    if shown == text:
        return text
    mark = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{shown[: NAME_LIMIT - len(mark) - 1].rstrip()}~{mark}"


def quoted(value: object, limit: int = QUOTED_LIMIT) -> str:
    """Quote a given value in an error: short, on one line, safe for any JSON value however deep or long."""
    match value:
        case str():
            return repr(one_line(value, limit))
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case float():
            return repr(value)
        case int():
            return repr(value) if abs(value) < _MAX_NUMBER else "a number of many digits"
        case Mapping():
            return f"an object with {len(value)} members"
        case list() | tuple():
            return f"a list of {len(value)}"
        case _:
            return f"a {type(value).__name__}"


def _shown(character: str) -> str:
    if character.isprintable() and character not in _BLANK:
        return character
    return " " if character.isspace() else _REPLACED


def _stored(value: object) -> object:
    return several_lines(value, STORED_LIMIT) if isinstance(value, str) else value


def _stored_line(value: object) -> object:
    return one_line(value, STORED_LINE_LIMIT) if isinstance(value, str) else value


StoredText = Annotated[str, BeforeValidator(_stored)]
"""Text in a document of the ledger; a long text is cut."""

StoredLine = Annotated[str, BeforeValidator(_stored_line)]
"""Line of another program in a document of the ledger."""

_EVIDENCE_TEXT, _EVIDENCE_MEMBERS, _EVIDENCE_DEPTH, _EVIDENCE_BUDGET = 500, 50, 6, 8_000


def _evidence(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    remaining = [_EVIDENCE_BUDGET]
    return {
        one_line(str(name), NAME_LIMIT): _bounded(member, remaining, _EVIDENCE_DEPTH) for name, member in value.items()
    }


def _bounded(value: Any, remaining: list[int], depth: int) -> Any:
    """Cut a value to the rest of the budget in characters; a text replaces each part that is left out."""
    if isinstance(value, str):
        shortened = several_lines(value, max(1, min(_EVIDENCE_TEXT, remaining[0])))
        remaining[0] -= len(shortened)
        return shortened
    if isinstance(value, int) and abs(value) >= _MAX_NUMBER:
        return quoted(value)
    if not isinstance(value, Mapping | list | tuple):
        return value
    remaining[0] -= len(value)
    if depth == 0 or remaining[0] <= 0:
        return f"left out: {quoted(value)}"
    if isinstance(value, Mapping):
        members = list(value.items())
        kept_members = {str(k)[:NAME_LIMIT]: _bounded(v, remaining, depth - 1) for k, v in members[:_EVIDENCE_MEMBERS]}
        if len(members) > _EVIDENCE_MEMBERS:
            kept_members["left out"] = len(members) - _EVIDENCE_MEMBERS
        return kept_members
    kept_items = [_bounded(item, remaining, depth - 1) for item in value[:_EVIDENCE_MEMBERS]]
    return kept_items if len(value) <= _EVIDENCE_MEMBERS else [*kept_items, f"{len(value) - _EVIDENCE_MEMBERS} more"]


StoredEvidence = Annotated[dict[str, Any], BeforeValidator(_evidence)]
"""Evidence of a check: values, cut to the size that fits into a document."""
