"""Rules of composite alarms: ALARM("name"), OK(...), INSUFFICIENT_DATA(...), AND, OR, NOT, TRUE, FALSE, parentheses."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

_TOKEN = re.compile(r'\s*(?:(?P<punctuation>[()])|"(?P<quoted>[^"]+)"|(?P<word>[^\s()"]+))')
_STATES = ("ALARM", "OK", "INSUFFICIENT_DATA")
StateOf = Callable[[str], str]
"""Returns the state of the alarm with a name or ARN."""


class InvalidRule(Exception):
    """The alarm rule can't be parsed. The message names the position."""


class Rule(Protocol):
    """A parsed rule."""

    def holds(self, state_of: StateOf) -> bool:
        """Whether the rule is true in these states."""

    def alarms(self) -> frozenset[str]:
        """Return the names or ARNs of the alarms in the rule."""


@dataclass(frozen=True)
class Constant:
    """TRUE or FALSE."""

    value: bool

    def holds(self, _state_of: StateOf) -> bool:
        """Whether the rule is true in these states."""
        return self.value

    def alarms(self) -> frozenset[str]:
        """Return the names or ARNs of the alarms in the rule."""
        return frozenset()


@dataclass(frozen=True)
class InState:
    """ALARM(…), OK(…) or INSUFFICIENT_DATA(…)."""

    state: str
    alarm: str

    def holds(self, state_of: StateOf) -> bool:
        """Whether the rule is true in these states."""
        return state_of(self.alarm) == self.state

    def alarms(self) -> frozenset[str]:
        """Return the names or ARNs of the alarms in the rule."""
        return frozenset({self.alarm})


@dataclass(frozen=True)
class Not:
    """A negated rule."""

    part: Rule

    def holds(self, state_of: StateOf) -> bool:
        """Whether the rule is true in these states."""
        return not self.part.holds(state_of)

    def alarms(self) -> frozenset[str]:
        """Return the names or ARNs of the alarms in the rule."""
        return self.part.alarms()


@dataclass(frozen=True)
class Joined:
    """Rules joined by AND (all must hold) or by OR (any)."""

    all_of: bool
    parts: tuple[Rule, ...]

    def holds(self, state_of: StateOf) -> bool:
        """Whether the rule is true in these states."""
        results = (part.holds(state_of) for part in self.parts)
        return all(results) if self.all_of else any(results)

    def alarms(self) -> frozenset[str]:
        """Return the names or ARNs of the alarms in the rule."""
        return frozenset().union(*(part.alarms() for part in self.parts))


def parse(text: str) -> Rule:
    """Parse a rule.

    Raises:
        InvalidRule: the text is no rule.
    """
    parser = _Parser(text, _tokens(text))
    rule = parser.disjunction()
    if parser.rest:
        raise InvalidRule(f"unexpected {parser.rest[0]!r} in alarm rule: {text}")
    return rule


def _tokens(text: str) -> list[str]:
    tokens, position = [], 0
    stripped = text.rstrip()
    while position < len(stripped):
        match = _TOKEN.match(stripped, position)
        if match is None:
            raise InvalidRule(f"can't read {stripped[position:]!r} in alarm rule: {text}")
        tokens.append(match["punctuation"] or match["quoted"] or match["word"])
        position = match.end()
    return tokens


@dataclass
class _Parser:
    text: str
    rest: list[str] = field(default_factory=list)

    def disjunction(self) -> Rule:
        parts = [self._conjunction()]
        while self._accept("OR"):
            parts.append(self._conjunction())
        return parts[0] if len(parts) == 1 else Joined(False, tuple(parts))

    def _conjunction(self) -> Rule:
        parts = [self._negation()]
        while self._accept("AND"):
            parts.append(self._negation())
        return parts[0] if len(parts) == 1 else Joined(True, tuple(parts))

    def _negation(self) -> Rule:
        return Not(self._negation()) if self._accept("NOT") else self._term()

    def _term(self) -> Rule:
        token = self._next()
        if token == "(":
            inner = self.disjunction()
            self._expect(")")
            return inner
        if token in ("TRUE", "FALSE"):
            return Constant(token == "TRUE")
        if token in _STATES:
            self._expect("(")
            alarm = self._next()
            self._expect(")")
            return InState(token, alarm)
        raise InvalidRule(f"unexpected {token!r} in alarm rule: {self.text}")

    def _accept(self, token: str) -> bool:
        if self.rest and self.rest[0] == token:
            self.rest.pop(0)
            return True
        return False

    def _expect(self, token: str) -> None:
        actual = self._next()
        if actual != token:
            raise InvalidRule(f"expected {token!r}, found {actual!r} in alarm rule: {self.text}")

    def _next(self) -> str:
        if not self.rest:
            raise InvalidRule(f"alarm rule ends too early: {self.text}")
        return self.rest.pop(0)
