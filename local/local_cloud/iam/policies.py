"""Evaluation of identity policies by action, resource and condition (IAM user guide, "Policy evaluation logic")."""

import datetime
import functools
import re
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Any

Document = dict[str, Any]
Context = dict[str, list[str]]  # condition key in lower case → values of the request


class UnsupportedCondition(Exception):
    """A policy uses a condition operator that the embedded cloud does not evaluate."""


class Decision(StrEnum):
    """Decision of some policies, as IAM names it (`EvalDecision`)."""

    ALLOWED = "allowed"
    EXPLICIT_DENY = "explicitDeny"
    IMPLICIT_DENY = "implicitDeny"


def allows(documents: Iterable[Document], action: str, resource: str, context: Context) -> bool:
    """Whether a statement allows the action on the resource, and none denies it."""
    return decide(documents, action, resource, context) is Decision.ALLOWED


def decide(documents: Iterable[Document], action: str, resource: str, context: Context) -> Decision:
    """Decide about an action on a resource. A statement that denies it outweighs all that allow it."""
    decision = Decision.IMPLICIT_DENY
    for document in documents:
        for statement in _as_list(document["Statement"]):
            if not _applies(statement, action, resource, context):
                continue
            if statement["Effect"] == "Deny":
                return Decision.EXPLICIT_DENY
            decision = Decision.ALLOWED
    return decision


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


@functools.cache
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(re.escape(text).replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL)


def matches(pattern: str, value: str) -> bool:
    """Whether a value fits IAM's wildcards: `*` for any text, `?` for any single character."""
    return _pattern(pattern).fullmatch(value) is not None


def _applies(statement: Document, action: str, resource: str, context: Context) -> bool:
    actions = _as_list(statement.get("Action") or statement.get("NotAction"))
    named = any(matches(pattern.lower(), action.lower()) for pattern in actions)
    if named == ("NotAction" in statement):
        return False
    resources = _as_list(statement.get("Resource") or statement.get("NotResource"))
    on_resource = any(matches(_expand_variables(pattern, context), resource) for pattern in resources)
    if on_resource == ("NotResource" in statement):
        return False
    return all(
        _holds(operator, key, [str(value) for value in _as_list(expected)], context)
        for operator, keys in (statement.get("Condition") or {}).items()
        for key, expected in keys.items()
    )


def _expand_variables(text: str, context: Context) -> str:
    """Replace policy variables, such as `${aws:PrincipalArn}`, by the request's values."""

    def value(match: re.Match[str]) -> str:
        return (context.get(match[1].lower()) or [match[0]])[0]

    return re.sub(r"\$\{([^}]+)\}", value, text)


def _as_time(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


_COMPARISONS: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": lambda have, want: have == want,
    "StringEqualsIgnoreCase": lambda have, want: have.lower() == want.lower(),
    "StringLike": lambda have, want: matches(want, have),
    "ArnEquals": lambda have, want: matches(want, have),
    "ArnLike": lambda have, want: matches(want, have),
    "Bool": lambda have, want: have.lower() == want.lower(),
    "NumericEquals": lambda have, want: float(have) == float(want),
    "NumericLessThan": lambda have, want: float(have) < float(want),
    "NumericLessThanEquals": lambda have, want: float(have) <= float(want),
    "NumericGreaterThan": lambda have, want: float(have) > float(want),
    "NumericGreaterThanEquals": lambda have, want: float(have) >= float(want),
    "DateLessThan": lambda have, want: _as_time(have) < _as_time(want),
    "DateGreaterThan": lambda have, want: _as_time(have) > _as_time(want),
}


def _holds(operator: str, key: str, expected: list[str], context: Context) -> bool:
    quantifier, _, name = operator.rpartition(":")
    values = context.get(key.lower())
    if name == "Null":
        return (values is None) == (expected[0].lower() == "true")
    if_exists = name.endswith("IfExists")
    name = name.removesuffix("IfExists")
    positive = name.replace("NotEquals", "Equals").replace("NotLike", "Like")
    negated = positive != name
    compare = _COMPARISONS.get(positive)
    if compare is None:
        raise UnsupportedCondition(f"the embedded cloud does not evaluate the condition operator {operator}")
    expected_values = [_expand_variables(text, context) for text in expected]

    def holds_for(value: str) -> bool:
        return any(compare(value, text) for text in expected_values) != negated

    if not values:
        return if_exists or negated or quantifier == "ForAllValues"
    if quantifier == "ForAllValues":
        return all(holds_for(value) for value in values)
    if quantifier == "ForAnyValue":
        return any(holds_for(value) for value in values)
    return all(holds_for(value) for value in values) if negated else any(holds_for(value) for value in values)
