"""ALTER TABLE, action by action, and what a migration has made itself: nobody before it knows that."""

import re

from rollback.model.sql_statements import NAME, plain_name, readable
from rollback.model.statement_impact import ADDITIVE, NOTHING, MigrationImpact, breaking, together, unknown

RELATION = rf"(?P<table>{NAME}(?: \. {NAME})?)"
_ALTER_TABLE = re.compile(rf"alter table (?:if exists )?(?:only )?{RELATION}(?: \*)? (?P<actions>.+)$")
_ADD_COLUMN = re.compile(rf"add (?:column )?(?P<perhaps>if not exists )?(?P<column>{NAME}) (?P<rest>.+)$")
_ALTER_COLUMN = re.compile(rf"alter (?:column )?(?P<column>{NAME}) (?P<change>.+)$")
_ADD_CONSTRAINT = re.compile(
    rf"add (?:constraint {NAME} )?(?P<kind>unique|primary key|foreign key|check|exclude)\b(?P<rest>.*)$"
)
# Types that are no domains, so that what leaves them out leaves NULL.
_BUILT_IN = re.compile(
    r"(?:text|varchar|char|character|int[248]?|integer|smallint|bigint|(?:small|big)?serial[248]?|uuid|bool|boolean|"
    r"numeric|decimal|real|double precision|date|timestamptz?|time|timetz|interval|jsonb?|bytea)\b"
)
_SERIAL = re.compile(r"(?:small|big)?serial[248]?\b")
_LISTED = re.compile(r"\( ([^()]+) \)")
_HARMLESS = ("validate constraint", "set (", "reset (", "set statistics", "cluster on", "set without cluster")


class Made:
    """Tables and columns that the migration has made so far; of a column, whether others leave it NULL."""

    def __init__(self) -> None:
        self.tables: set[str] = set()
        self.columns: dict[str, dict[str, bool]] = {}

    def left_null(self, table: str, columns: str) -> bool:
        """Whether others leave one of the columns (as listed in brackets) NULL: no key refuses such a row."""
        made = self.columns.get(table, {})
        return any(made.get(name, False) for name in _names(columns))

    def all_new(self, table: str, columns: set[str]) -> bool:
        """Whether nobody else knows any of the columns."""
        return columns <= self.columns.get(table, {}).keys()


def relation(words: str) -> str:
    """A table's name as one text; `public` is where it is looked for anyway."""
    return ".".join(plain_name(word) for word in words.split(" . ")).removeprefix("public.")


def judge_alter_table(words: str, made: Made) -> MigrationImpact:
    """All actions of one ALTER TABLE."""
    parsed = _ALTER_TABLE.match(words)
    if parsed is None:
        return unknown(f"not understood: {readable(words)[:80]}")
    table = relation(parsed["table"])
    if table in made.tables:
        return ADDITIVE
    return together(_action(table, action, made) for action in _split(parsed["actions"]))


def judge_unique_index(table: str, columns: str, made: Made) -> MigrationImpact:
    """`columns` as listed, in brackets."""
    if table in made.tables or made.left_null(table, columns):
        return ADDITIVE
    return breaking(f"a unique key on {table}: rows are refused that were taken before")


def _action(table: str, action: str, made: Made) -> MigrationImpact:
    constraint = _ADD_CONSTRAINT.match(action)
    if constraint is not None:
        return _constraint(table, constraint["kind"], constraint["rest"], made)
    if action.startswith("add constraint"):
        return unknown(f"not understood: {readable(action)[:80]}")
    added = _ADD_COLUMN.match(action)
    if added is not None:
        known = Made() if added["perhaps"] else made  # it may be an old one
        return _added(table, plain_name(added["column"]), added["rest"], known)
    if action.startswith(("drop ", "rename ")):
        return breaking(f"{table}: {readable(action)[:60]}")
    if action.startswith(_HARMLESS):
        return NOTHING
    altered = _ALTER_COLUMN.match(action)
    if altered is not None:
        return _altered(table, plain_name(altered["column"]), altered["change"], made)
    if action.startswith("attach partition"):
        return ADDITIVE
    shows = "row level security" in action or "trigger" in action
    return unknown(f"not known to be harmless: alter table {table} {readable(action)[:60]}", shows=shows)


def _added(table: str, column: str, rest: str, made: Made) -> MigrationImpact:
    """A column definition: `<type> [default …] [not null] [unique] [references …]`, in any order."""
    has_default = bool(_SERIAL.match(rest) or re.search(r"\b(?:default|generated)\b", rest))
    primary = re.search(r"\bprimary key\b", rest) is not None
    required = primary or re.search(r"\bnot null\b", rest) is not None
    made.columns.setdefault(table, {})[column] = not (required or has_default)
    if required and not has_default:
        return breaking(f"{table}.{column} is NOT NULL and has no default: rows without it are refused")
    if re.search(r"\bcheck\b", rest):
        return unknown(f"{table}.{column} comes with a check", shows=True)
    has_key = re.search(r"\b(?:unique|primary key|references)\b", rest) is not None
    if has_key and has_default and not _generates(rest):
        return breaking(f"{table}.{column} has a key and a default: its second row may be refused")
    if has_key and not _BUILT_IN.match(rest) and not has_default:
        return unknown(f"{table}.{column} has a key, and a type that may have a default", shows=True)
    return ADDITIVE


def _generates(rest: str) -> bool:
    """Another value for each row."""
    return bool(_SERIAL.match(rest) or re.search(r"\bas identity\b|\bdefault (?:gen_random_uuid|nextval)\b", rest))


def _altered(table: str, column: str, change: str, made: Made) -> MigrationImpact:
    if made.all_new(table, {column}):
        if change in ("set not null", "drop default"):
            return breaking(f"{table}.{column} is made, then changed: {change}")
        if change.startswith("set default"):
            made.columns[table][column] = False
            return unknown(f"{table}.{column} is made, then given a default, which its key may refuse", shows=True)
        return ADDITIVE
    if change.startswith(("set statistics", "set storage", "set compression", "set (", "reset (")):
        return NOTHING
    if re.match(r"(?:set data )?type\b|set not null|drop not null|drop default|drop expression|drop identity", change):
        return breaking(f"{table}.{column}: {readable(change)[:60]}")
    return unknown(f"{table}.{column}: {readable(change)[:60]}", shows=True)


def _constraint(table: str, kind: str, rest: str, made: Made) -> MigrationImpact:
    listed = _LISTED.search(rest)
    null_passes = kind in ("unique", "foreign key") and not re.search("nulls not distinct|match full", rest)
    if null_passes and listed is not None and made.left_null(table, listed[1]):
        return ADDITIVE
    return breaking(f"a new {kind} on {table}: rows are refused that were taken before")


def _names(listed: str) -> set[str]:
    return {plain_name(one.strip().split(" ")[0]) for one in listed.split(",") if one.strip()}


def _split(actions: str) -> list[str]:
    """At the commas that are in no brackets."""
    parts, depth = [""], 0
    for word in actions.split(" "):
        depth += (word in "([") - (word in ")]")
        if word == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += f" {word}"
    return [part.strip() for part in parts]
