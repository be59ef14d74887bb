"""Split the text of an error of the domain into what failed and what to do next.

Such a text is one line of clauses between semicolons. The remedy is the last clause, before "nothing was changed".
"""

import re

_UNCHANGED = re.compile(r"; (nothing (?:was|is) (?:changed|recorded|started|sent|written))\.?$")
_REMEDY = re.compile(
    r"`(?:rollback|cdk) |(?:add|ask|check|choose|correct|deploy|end|give|install|leave|log|name|push|read|rehearse|"
    r"remove|run|send|set|start|take|try|type|use|wait)\b|valid values:|to \w+, ",
)


def split_message(text: str) -> tuple[str, str]:
    """Return what failed, and what to do next; the second is empty if the text has no remedy."""
    unchanged = _UNCHANGED.search(text)
    body = text[: unchanged.start()] if unchanged is not None else text
    what, separator, last = body.rpartition("; ")
    if not separator or _REMEDY.match(last) is None:
        return text, ""
    return f"{what}; {unchanged[1]}" if unchanged is not None else what, last
