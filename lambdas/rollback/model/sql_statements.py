"""SQL text cut into statements that can be looked at word by word: the part of Postgres's lexer that this takes.

After chapter "Lexical Structure" of Postgres's manual: quoted names, strings and their escapes, dollar quotes, nested
comments. `standard_conforming_strings` is on, as it is unless told otherwise. Drizzle's `--> statement-breakpoint` is
a comment like any other.
"""

import re
from collections.abc import Iterator

NAME = r'(?:"[0-9a-f]*"|[a-z_\u0080-\uffff][\w$]*)'  # in the words of a statement; a quoted one as hexadecimal bytes

_TOKEN = re.compile(
    r"""
      (?P<blank>\s+|--[^\n]*)
    | (?P<comment>/\*)
    | (?P<string>[eE]'(?:[^'\\]|\\.|'')*'|(?:[uU]&|[bBxXnN])?'(?:[^']|'')*')
    | (?P<quoted>(?:[uU]&)?"(?:[^"]|"")+")
    | (?P<dollar>(?P<tag>\$(?:[A-Za-z_\u0080-\uffff][A-Za-z0-9_\u0080-\uffff]*)?\$)(?P<body>.*?)(?P=tag))
    | (?P<broken>[eE]?'|"|\$(?!\d))
    | (?P<word>[A-Za-z_\u0080-\uffff][\w$]*)
    | (?P<number>\d[\w.]*)
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_QUOTED = re.compile(r'"[0-9a-f]*"')
_COMMENT_EDGE = re.compile(r"/\*|\*/")


class Unreadable(ValueError):
    """A quote or a comment that is never closed."""


class Statement:
    """One statement.

    Attributes:
        words: lower case, one blank between; strings are `''`, dollar quotes `$$`, quoted names as in `NAME`, so that
            no keyword is found in what is none.
        bodies: what the dollar quotes held, in order.
    """

    def __init__(self, words: list[str], bodies: list[str]) -> None:
        self.words = " ".join(words)
        self.bodies = tuple(bodies)


def statements(sql: str) -> tuple[Statement, ...]:
    """The statements of a file, in order; empty ones are left out.

    Raises:
        Unreadable: a quote or a comment is not closed.
    """
    found, words, bodies = [], list[str](), list[str]()
    for kind, text in _tokens(sql):
        if text == ";" and kind == "other":
            found.append(Statement(words, bodies))
            words, bodies = [], []
            continue
        words.append(_word(kind, text))
        if kind == "dollar":
            bodies.append(text)
    return tuple(one for one in (*found, Statement(words, bodies)) if one.words)


def plain_name(word: str) -> str:
    """A name in a statement's words as the catalogue has it."""
    return bytes.fromhex(word[1:-1]).decode() if word.startswith('"') else word


def readable(words: str) -> str:
    """A statement's words, or some of them, as people read them: quoted names as they are."""
    return _QUOTED.sub(lambda name: plain_name(name[0]), words)


def _word(kind: str, text: str) -> str:
    match kind:
        case "string":
            return "''"
        case "dollar":
            return "$$"
        case "quoted":
            inner = text[text.index('"') + 1 : -1].replace('""', '"')
            return f'"{inner.encode().hex()}"'
        case _:
            return text.lower()


def _tokens(sql: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(sql):
        token = _TOKEN.match(sql, at)
        kind = token.lastgroup if token is not None else None
        if token is None or kind is None:
            raise Unreadable(f"it can't be read at character {at}")
        if token["broken"] is not None:
            raise Unreadable(f"a quote at character {at} is not closed")
        at = token.end()
        if token["comment"] is not None:
            at = _end_of_comment(sql, at)
        elif token["dollar"] is not None:
            yield "dollar", token["body"]
        elif token["blank"] is None:
            yield kind, token[0]


def _end_of_comment(sql: str, at: int) -> int:
    depth = 1
    while depth:
        edge = _COMMENT_EDGE.search(sql, at)
        if edge is None:
            raise Unreadable("a comment is not closed")
        depth += 1 if edge[0] == "/*" else -1
        at = edge.end()
    return at
