"""Composite alarm rules: ALARM("name"), OK(...), INSUFFICIENT_DATA(...), AND, OR, NOT, TRUE, FALSE, parentheses."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

_TOKEN = re.compile(r'\s*(?:(?P<punctuation>[()])|"(?P<quoted>[^"]+)"|(?P<word>[^\s()"]+))')
_STATES = ("ALARM", "OK", "INSUFFICIENT_DATA")
StateOf = Callable[[str], str]
"""Gives the state of the alarm with a name or ARN."""


class InvalidRule(Exception):
    """The alarm rule cannot be read; says where."""


class Rule(Protocol):
    """A rule that has been read."""

    def holds(self, state_of: StateOf) -> bool: ...

    def alarms(self) -> frozenset[str]:
        """The names or ARNs it speaks of."""


@dataclass(frozen=True)
class Constant:
    value: bool

    def holds(self, _state_of: StateOf) -> bool:
        return self.value

    def alarms(self) -> frozenset[str]:
        return frozenset()


@dataclass(frozen=True)
class InState:
    state: str
    alarm: str

    def holds(self, state_of: StateOf) -> bool:
        return state_of(self.alarm) == self.state

    def alarms(self) -> frozenset[str]:
        return frozenset({self.alarm})


@dataclass(frozen=True)
class Not:
    part: Rule

    def holds(self, state_of: StateOf) -> bool:
        return not self.part.holds(state_of)

    def alarms(self) -> frozenset[str]:
        return self.part.alarms()


@dataclass(frozen=True)
class Joined:
    """Several parts, all (AND) or any (OR) of which must hold."""

    all_of: bool
    parts: tuple[Rule, ...]

    def holds(self, state_of: StateOf) -> bool:
        held = (part.holds(state_of) for part in self.parts)
        return all(held) if self.all_of else any(held)

    def alarms(self) -> frozenset[str]:
        return frozenset().union(*(part.alarms() for part in self.parts))


def parse(text: str) -> Rule:
    """Read a rule. Raises InvalidRule."""
    reader = _Reader(text, _tokens(text))
    rule = reader.disjunction()
    if reader.rest:
        raise InvalidRule(f"unexpected {reader.rest[0]!r} in alarm rule: {text}")
    return rule


def _tokens(text: str) -> list[str]:
    tokens, position = [], 0
    stripped = text.rstrip()
    while position < len(stripped):
        match = _TOKEN.match(stripped, position)
        if match is None:
            raise InvalidRule(f"cannot read {stripped[position:]!r} in alarm rule: {text}")
        tokens.append(match["punctuation"] or match["quoted"] or match["word"])
        position = match.end()
    return tokens


@dataclass
class _Reader:
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
        found = self._next()
        if found != token:
            raise InvalidRule(f"expected {token!r}, found {found!r} in alarm rule: {self.text}")

    def _next(self) -> str:
        if not self.rest:
            raise InvalidRule(f"alarm rule ends too early: {self.text}")
        return self.rest.pop(0)
