"""A reader of the shell commands in documentation: words, quotes, pipes, substitutions and comments. It runs nothing.

Three notations of documentation are no shell, and are read as they are meant:
    - `[--option VALUE]` is an option that may be left out: the brackets are dropped.
    - `this|that`, without spaces, is a choice: `alternatives` yields a command for each.
    - `<id>` and `…` are placeholders.
"""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass

_OPERATORS = ("&&", "||", "|", ";", "&", ">>", ">", "<", "(", ")", "{", "}")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_PLACEHOLDER = re.compile(r"<[a-zA-Z][\w-]*>")
_CHOICE = re.compile(r"^[\w-]+(\|[\w-]+)+$")
_REDIRECTIONS = {">", ">>", "<"}
_KEYWORDS = {"export", "then", "do", "if", "while"}  # a command follows them


@dataclass(frozen=True)
class Command:
    """One command: its program and arguments, without quotes; `line` counts from 0 in its block."""

    words: tuple[str, ...]
    line: int

    @property
    def program(self) -> str:
        """First word."""
        return self.words[0]

    @property
    def arguments(self) -> tuple[str, ...]:
        """All words but the first."""
        return self.words[1:]

    def alternatives(self) -> Iterator[tuple[str, ...]]:
        """Yield the words for each combination of choices such as `approve|reject`."""
        options = [word.split("|") if _CHOICE.match(word) else [word] for word in self.words]
        yield from itertools.product(*options)


class NotShell(ValueError):
    """The text is no shell command that this reader knows."""


def read_commands(text: str) -> list[Command]:
    """Read all commands of a block, those in `$(…)` too.

    Raises:
        NotShell: a quote or a parenthesis has no end.
    """
    return list(_Reader(text).commands())


class _Reader:
    def __init__(self, text: str, line: int = 0) -> None:
        self._text, self._at, self._line = text, 0, line
        self._nested: list[Command] = []

    def commands(self) -> Iterator[Command]:
        words: list[str] = []
        start, is_target = self._line, False
        for kind, token in self._tokens():
            if kind == "end":
                if words:
                    yield Command(tuple(words), start)
                words, is_target = [], False
            elif kind == "redirection":
                is_target = True
            elif is_target:
                is_target = False
            elif not words and (_ASSIGNMENT.match(token) or token in _KEYWORDS):
                continue
            else:
                start = start if words else self._line
                words.append(token)
        yield from self._nested

    def _tokens(self) -> Iterator[tuple[str, str]]:
        text = self._text
        while self._at < len(text):
            character = text[self._at]
            placeholder = _PLACEHOLDER.match(text, self._at)
            operator = next((o for o in _OPERATORS if text.startswith(o, self._at)), None)
            if text.startswith("\\\n", self._at):
                self._at, self._line = self._at + 2, self._line + 1
            elif character == "\n":
                yield "end", ""
                self._at, self._line = self._at + 1, self._line + 1
            elif character.isspace():
                self._at += 1
            elif character == "#":
                end = text.find("\n", self._at)
                self._at = len(text) if end < 0 else end
            elif placeholder is not None:
                self._at = placeholder.end()
                yield "word", placeholder.group().strip("<>").upper()
            elif operator in _REDIRECTIONS:
                self._at += len(operator or "")
                yield "redirection", ""
            elif operator is not None:
                self._at += len(operator)
                yield "end", ""
            else:
                is_quoted, word = character in "'\"", self._word()
                if is_quoted or word not in {"…", "..."}:
                    yield "word", word
        yield "end", ""

    def _word(self) -> str:
        """Read a word up to a space or an operator."""
        text, parts, is_optional = self._text, [], self._text[self._at] == "["
        self._at += is_optional
        while self._at < len(text):
            character = text[self._at]
            if character.isspace() or character in "();&" or text.startswith((" |", "||"), self._at):
                break
            if character in "'\"":
                parts.append(self._quoted(character))
            elif text.startswith("$(", self._at):
                parts.append(self._substitution())
            elif character == "\\" and self._at + 1 < len(text):
                if text[self._at + 1] == "\n":
                    break
                parts.append(text[self._at + 1])
                self._at += 2
            elif character == "]" and "[" not in "".join(parts):
                self._at += 1
            else:
                parts.append(character)
                self._at += 1
        return "".join(parts)

    def _quoted(self, quote: str) -> str:
        text, parts = self._text, []
        start = self._at
        self._at += 1
        while self._at < len(text) and text[self._at] != quote:
            if quote == '"' and text.startswith("$(", self._at):
                parts.append(self._substitution())
                continue
            if quote == '"' and text[self._at] == "\\" and text[self._at + 1 : self._at + 2] in {'"', "\\", "$", "`"}:
                self._at += 1
            self._line += text[self._at] == "\n"
            parts.append(text[self._at])
            self._at += 1
        if self._at >= len(text):
            raise NotShell(f"a quote has no end: {text[start : start + 40]}")
        self._at += 1
        return "".join(parts)

    def _substitution(self) -> str:
        """Read `$(…)`, keep its commands, and return a word in its place."""
        start, depth, quote = self._at + 2, 1, ""
        position = start
        while position < len(self._text) and depth:
            character = self._text[position]
            if quote:
                quote = "" if character == quote else quote
            elif character in "'\"":
                quote = character
            else:
                depth += (character == "(") - (character == ")")
            position += 1
        if depth:
            raise NotShell(f"`$(` has no end: {self._text[start : start + 40]}")
        inner = self._text[start : position - 1]
        self._nested.extend(_Reader(inner, self._line).commands())
        self._line += inner.count("\n")
        self._at = position
        return "SUBSTITUTED"
