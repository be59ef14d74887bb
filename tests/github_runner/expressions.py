"""Expressions of GitHub Actions, as far as our workflows use them: contexts, operators and a few functions.

Source: GitHub Docs, "Evaluate expressions in workflows and actions". An expression that uses anything else is an error,
so that no workflow passes here by a guess.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

Value = Any  # null, a boolean, a number, a text, or a context's object
Contexts = Mapping[str, Value]
STATUS_FUNCTIONS = frozenset({"success", "failure", "always", "cancelled"})
_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>-?\d+(?:\.\d+)?)|(?P<name>[A-Za-z_][A-Za-z0-9_-]*)"
    r"|(?P<sign>\|\||&&|==|!=|!|\(|\)|,|\.))"
)
_EMBEDDED = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)


class ExpressionError(Exception):
    """An expression that the runner does not read: it is wrong, or beyond what the runner knows."""


def interpolate(text: str, contexts: Contexts) -> Value:
    """Evaluate the expressions in a text; a text that is one expression keeps the value's type."""
    whole = _EMBEDDED.fullmatch(text.strip())
    if whole is not None:
        return evaluate(whole[1], contexts)
    return _EMBEDDED.sub(lambda match: as_text(evaluate(match[1], contexts)), text)


def condition(text: str | bool | None, contexts: Contexts) -> bool:
    """Evaluate an `if`: without a status function, `success()` is demanded too."""
    if text is None:
        return bool(evaluate("success()", contexts))
    source = str(text).strip().lower() if isinstance(text, bool) else text.strip()
    whole = _EMBEDDED.fullmatch(source)
    source = whole[1] if whole is not None else source
    has_status = any(token in STATUS_FUNCTIONS for kind, token in _tokens(source) if kind == "name")
    is_met = is_true(evaluate(source, contexts))
    return is_met if has_status else is_met and bool(evaluate("success()", contexts))


def evaluate(source: str, contexts: Contexts) -> Value:
    """Evaluate one expression.

    Raises:
        ExpressionError: the expression is wrong, or uses what the runner does not know.
    """
    parser = _Parser(source, _tokens(source), contexts)
    value = parser.alternatives()
    if not parser.is_done:
        raise ExpressionError(f"{source!r} goes on after its end, with {parser.rest!r}")
    return value


def is_true(value: Value) -> bool:
    """Whether a value counts as true: not false, 0, an empty text or null."""
    return value not in (False, 0, "", None)


def as_text(value: Value) -> str:
    """Write a value as GitHub does in a text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping | list):
        raise ExpressionError(f"{value!r} is an object, which a text can't hold")
    return str(value)


def _tokens(source: str) -> list[tuple[str, str]]:
    tokens, position = [], 0
    while position < len(source.rstrip()):
        match = _TOKEN.match(source, position)
        if match is None:
            raise ExpressionError(f"{source!r} has {source[position:]!r}, which the runner does not read")
        kind = str(match.lastgroup)
        tokens.append((kind, match[kind]))
        position = match.end()
    return tokens


class _Parser:
    """Recursive descent, evaluated on the way."""

    def __init__(self, source: str, tokens: Sequence[tuple[str, str]], contexts: Contexts) -> None:
        self._source, self._tokens, self._contexts, self._at = source, tokens, contexts, 0

    @property
    def is_done(self) -> bool:
        return self._at == len(self._tokens)

    @property
    def rest(self) -> list[str]:
        return [token for _, token in self._tokens[self._at :]]

    def alternatives(self) -> Value:
        value = self._conjunction()
        while self._accept("||"):
            other = self._conjunction()
            value = value if is_true(value) else other
        return value

    def _conjunction(self) -> Value:
        value = self._comparison()
        while self._accept("&&"):
            other = self._comparison()
            value = other if is_true(value) else value
        return value

    def _comparison(self) -> Value:
        value = self._operand()
        while (sign := self._accept("==", "!=")) is not None:
            other = self._operand()
            value = _is_equal(value, other) == (sign == "==")
        return value

    def _operand(self) -> Value:
        if self._accept("!"):
            return not is_true(self._operand())
        if self._accept("("):
            value = self.alternatives()
            self._demand(")")
            return value
        kind, token = self._take()
        match kind:
            case "text":
                return token[1:-1].replace("''", "'")
            case "number":
                return float(token) if "." in token else int(token)
            case "name" if token in {"true", "false", "null"}:
                return {"true": True, "false": False, "null": None}[token]
            case "name" if self._accept("("):
                return self._call(token)
            case "name":
                return self._member(token)
        raise ExpressionError(f"{self._source!r} has {token!r} where a value belongs")

    def _call(self, name: str) -> Value:
        arguments: list[Value] = []
        if not self._accept(")"):
            arguments.append(self.alternatives())
            while self._accept(","):
                arguments.append(self.alternatives())
            self._demand(")")
        if name in STATUS_FUNCTIONS and not arguments:
            status = self._contexts["job"]["status"]
            return {"success": "success", "failure": "failure", "cancelled": "cancelled", "always": status}[
                name
            ] == status
        if name == "contains" and len(arguments) == 2 and isinstance(arguments[0], str):
            return as_text(arguments[1]).lower() in arguments[0].lower()
        raise ExpressionError(f"{self._source!r} calls {name} with {len(arguments)} arguments, which is not known here")

    def _member(self, name: str) -> Value:
        if name not in self._contexts:
            raise ExpressionError(f"{self._source!r} names the context {name!r}, which is not available there")
        value = self._contexts[name]
        while self._accept("."):
            _, member = self._take()
            # A member that is missing is null, as on GitHub; actionlint finds misspelt ones.
            value = value.get(member) if isinstance(value, Mapping) else None
        return value

    def _accept(self, *signs: str) -> str | None:
        if not self.is_done and self._tokens[self._at][0] == "sign" and self._tokens[self._at][1] in signs:
            self._at += 1
            return self._tokens[self._at - 1][1]
        return None

    def _demand(self, sign: str) -> None:
        if not self._accept(sign):
            raise ExpressionError(f"{self._source!r} lacks {sign!r} before {self.rest!r}")

    def _take(self) -> tuple[str, str]:
        if self.is_done:
            raise ExpressionError(f"{self._source!r} ends too early")
        self._at += 1
        return self._tokens[self._at - 1]


def _is_equal(left: Value, right: Value) -> bool:
    """Compare as GitHub does: texts without their case, values of different kinds as numbers."""
    if isinstance(left, str) and isinstance(right, str):
        return left.lower() == right.lower()
    if type(left) is type(right):
        return bool(left == right)
    numbers = [_as_number(value) for value in (left, right)]
    return None not in numbers and numbers[0] == numbers[1]


def _as_number(value: Value) -> float | None:
    if value is None or value == "":
        return 0
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
