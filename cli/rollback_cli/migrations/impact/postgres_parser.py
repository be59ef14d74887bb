"""SQL text read by the grammar of Postgres itself: `postgast` binds libpg_query, Postgres 18's parser as a library.

The parser is a dependency of the command line only (decision 27): it is used in a pipeline, never in a function. Trees
are plain dictionaries here, as protobuf's JSON mapping writes them, so that the rules need no class of the library.
Source of the node names: libpg_query, `protobuf/pg_query.proto`, branch `18-latest`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import postgast
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError

Node = Mapping[str, Any]
_LONGEST = 80


class UnparsableSql(ValueError):
    """Postgres's parser refuses the text, or the text nests deeper than the binding can carry."""


@dataclass(frozen=True)
class Statement:
    """One statement.

    Attributes:
        kind: the parser's name of the node, such as `alter_table_stmt`.
        node: its fields; a field at its default is absent.
        text: its source, for reasons.
    """

    kind: str
    node: Node
    text: str

    @property
    def brief(self) -> str:
        """The beginning of the source on one line, comments included."""
        return " ".join(self.text.split())[:_LONGEST]


def parse(sql: str) -> tuple[Statement, ...]:
    """All statements of a file, in order.

    Raises:
        Unreadable: Postgres would not take the text, whatever the reason: psql's own commands and the rows of a
            `COPY … FROM stdin` are no SQL.
    """
    if "\0" in sql:
        raise UnparsableSql("it holds a zero byte, at which the parser ends")
    try:
        tree = MessageToDict(postgast.parse(sql), preserving_proto_field_name=True)
    except postgast.PgQueryError as error:
        raise UnparsableSql(f"Postgres's parser refuses it: {error}") from error
    except (DecodeError, UnicodeError, RecursionError) as error:
        raise UnparsableSql(f"its tree can't be read: {error}") from error
    source = sql.encode()
    return tuple(_statement(raw, source) for raw in tree.get("stmts", ()) if raw.get("stmt"))


def nodes(tree: Any) -> Iterator[tuple[str, Node]]:
    """Every named node in a tree, the outermost first."""
    if isinstance(tree, Mapping):
        for name, value in tree.items():
            if isinstance(value, Mapping):
                yield name, value
            yield from nodes(value)
    elif isinstance(tree, list):
        for one in tree:
            yield from nodes(one)


def strings(listed: Any) -> tuple[str, ...]:
    """The parts of a name: nodes of type String; an empty name is one, too."""
    return tuple(one["string"].get("sval", "") for one in listed or () if "string" in one)


def relation(node: Node) -> str:
    """A table's name as one text; `public` is left out, since a bare name is looked for there."""
    return qualified((node.get("schemaname", ""), node.get("relname", "")))


def qualified(parts: tuple[str, ...]) -> str:
    """`schema.name`, or the name alone in `public`."""
    return ".".join(part for part in parts if part).removeprefix("public.")


def _statement(raw: Node, source: bytes) -> Statement:
    ((kind, node),) = raw["stmt"].items()
    begin = raw.get("stmt_location", 0)
    end = begin + raw["stmt_len"] if raw.get("stmt_len") else len(source)
    return Statement(kind, node, source[begin:end].decode(errors="replace").strip())
