"""SQL text read by Postgres's own grammar: `postgast` binds libpg_query, Postgres 18's parser as a library.

The parser is a dependency of the command only (decision 27: pipelines read migrations, Lambda functions don't). Trees
are plain dictionaries, as protobuf's JSON mapping writes them, so that the rules need no class of the library.
Source of the node names: libpg_query, `protobuf/pg_query.proto`, branch `18-latest`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import postgast
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError

Node = Mapping[str, Any]
_MAX_BRIEF_LENGTH = 80


class UnparsableSql(ValueError):
    """Postgres's parser rejects the text, or the text nests deeper than the binding supports."""


@dataclass(frozen=True)
class Statement:
    """One statement.

    Attributes:
        kind: name of the node in the parser, such as `alter_table_stmt`.
        node: its fields; a field at its default is absent.
        text: its source, which reasons quote.
    """

    kind: str
    node: Node
    text: str

    @property
    def brief(self) -> str:
        """Beginning of the source on one line, comments included."""
        return " ".join(self.text.split())[:_MAX_BRIEF_LENGTH]


def parse(sql: str) -> tuple[Statement, ...]:
    """Parse all statements of a file, in order.

    Raises:
        UnparsableSql: Postgres would reject the text: psql's own commands and the rows of a `COPY … FROM stdin` are no
            SQL, for example.
    """
    if "\0" in sql:
        raise UnparsableSql("the text has a zero byte, at which Postgres's parser stops")
    try:
        tree = MessageToDict(postgast.parse(sql), preserving_proto_field_name=True)
    except postgast.PgQueryError as error:
        raise UnparsableSql(f"Postgres's parser rejects the text: {error}") from error
    except (DecodeError, UnicodeError, RecursionError) as error:
        raise UnparsableSql(f"the parser's tree can't be read: {error}") from error
    source = sql.encode()
    return tuple(_statement(raw, source) for raw in tree.get("stmts", ()) if raw.get("stmt"))


def nodes(tree: Any) -> Iterator[tuple[str, Node]]:
    """Return every named node in a tree, the outermost first."""
    if isinstance(tree, Mapping):
        for name, value in tree.items():
            if isinstance(value, Mapping):
                yield name, value
            yield from nodes(value)
    elif isinstance(tree, list):
        for element in tree:
            yield from nodes(element)


def strings(values: Any) -> tuple[str, ...]:
    """Return the parts of a name, which are nodes of type String; an empty part counts too."""
    return tuple(item["string"].get("sval", "") for item in values or () if "string" in item)


def relation(node: Node) -> str:
    """Return a table's name; `public` is left out, since Postgres looks for a bare name there."""
    return qualified((node.get("schemaname", ""), node.get("relname", "")))


def qualified(parts: tuple[str, ...]) -> str:
    """Return `schema.name`, or the name alone in `public`."""
    return ".".join(part for part in parts if part).removeprefix("public.")


def _statement(raw: Node, source: bytes) -> Statement:
    ((kind, node),) = raw["stmt"].items()
    begin = raw.get("stmt_location", 0)
    end = begin + raw["stmt_len"] if raw.get("stmt_len") else len(source)
    return Statement(kind, node, source[begin:end].decode(errors="replace").strip())
