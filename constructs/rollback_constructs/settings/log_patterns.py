"""Syntax of CloudWatch Logs filter patterns, as far as a mistake in one would match no line, or fail a deployment.

Source: CloudWatch Logs user guide, "Filter pattern syntax for metric filters, subscription filters, filter log events,
and Live Tail"; `PutMetricFilter` limits a pattern to 1,024 characters.
"""

_MAX_LENGTH = 1_024
_BRACKETS = {"{": "}", "[": "]"}


def find_mistake(pattern: str) -> str | None:
    """Say what is wrong with a filter pattern; None: no mistake is known.

    Only lengths, quotes and brackets are checked: CloudWatch Logs itself judges selectors and operators.
    """
    text = pattern.strip()
    if len(pattern) > _MAX_LENGTH:
        return f"it has {len(pattern)} characters, CloudWatch Logs allows {_MAX_LENGTH}"
    if not text:
        return "it is empty and would match every line"
    bare = _without_quoted_text(text)
    if bare is None:
        return 'a quote (") is not closed'
    if bare.count("%") % 2 and bare[0] not in _BRACKETS:
        return "a regular expression (%…%) is not closed"
    if bare[0] in _BRACKETS:
        return _find_mistake_in_brackets(bare)
    if bare[-1] in _BRACKETS.values():
        opening = next(key for key, value in _BRACKETS.items() if value == bare[-1])
        return f"it ends with {bare[-1]} and does not begin with {opening}"
    return None


def _without_quoted_text(text: str) -> str | None:
    """Return the text without what stands in double quotes; None: a quote is not closed."""
    parts: list[str] = []
    is_quoted = is_escaped = False
    for character in text:
        if is_escaped:
            is_escaped = False
        elif character == "\\":
            is_escaped = True
        elif character == '"':
            is_quoted = not is_quoted
            parts.append(character)
        elif not is_quoted:
            parts.append(character)
    return None if is_quoted else "".join(parts)


def _find_mistake_in_brackets(bare: str) -> str | None:
    closing = _BRACKETS[bare[0]]
    if not bare.endswith(closing):
        return f"{bare[0]} is not closed by {closing}"
    inner = bare[1:-1].strip()
    if not inner:
        return f"nothing stands between {bare[0]} and {closing}"
    depth = 0
    for character in inner:
        depth += (character == "(") - (character == ")")
        if depth < 0:
            break
    if depth:
        return "its parentheses do not match"
    if bare[0] == "{" and (words := inner.split()) and not words[0].lstrip("(!").startswith("$"):
        return "a selector of a JSON property begins with $"
    if bare[0] == "{" and inner.rstrip(")").rstrip().endswith(("=", "<", ">", "&&", "||")):
        return "an operator has no value behind it"
    return None
