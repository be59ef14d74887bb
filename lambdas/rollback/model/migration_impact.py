"""What a migration means for the release before it, told from its SQL alone.

What is known to be harmless is listed; what is on no list is unknown. A statement is judged as it stands in its file:
keys of a table that the file itself has made, and values for its own new columns, harm nobody. What the text does not
tell is left to the structure: a new column of a domain that forbids NULL, say.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from rollback.model.migration_tables import RELATION, Made, judge_alter_table, judge_unique_index, relation
from rollback.model.sql_statements import NAME, Statement, Unreadable, plain_name, readable, statements
from rollback.model.statement_impact import ADDITIVE, NOTHING, MigrationImpact, breaking, together, unknown


@dataclass(frozen=True)
class _At:
    """A statement, how it fitted its rule, and what the migration has made before it."""

    match: re.Match[str]
    statement: Statement
    made: Made

    @property
    def table(self) -> str:
        return relation(self.match["table"])

    @property
    def said(self) -> str:
        return readable(self.statement.words)[:80]


_Judge = Callable[[_At], MigrationImpact]

# Older versions of drizzle-kit wrap what has no IF NOT EXISTS in such a block.
_UNLESS_THERE = re.compile(
    r"\s*begin\s(?P<inner>.*)\sexception\s+when\s+duplicate_object\s+then\s+null\s*;\s*end\s*;?\s*",
    re.IGNORECASE | re.DOTALL,
)


def classify(sql: str) -> MigrationImpact:
    """The class of a migration's text, with a reason for each statement that is worse than additive."""
    return _classified(sql, Made())


def _classified(sql: str, made: Made) -> MigrationImpact:
    try:
        found = statements(sql)
    except Unreadable as broken:
        return unknown(str(broken))
    return together(_judged(found, made))


def _judged(found: tuple[Statement, ...], made: Made) -> Iterator[MigrationImpact]:
    for statement in found:
        for pattern, judge in _RULES:
            match = pattern.match(statement.words)
            if match is not None:
                yield judge(_At(match, statement, made)) if callable(judge) else judge
                break
        else:
            yield unknown(f"not known to be harmless: {readable(statement.words)[:80]}")


def _create_table(at: _At) -> MigrationImpact:
    if at.match["perhaps"] is None:  # else it may be an old one
        at.made.tables.add(at.table)
    return ADDITIVE


def _index(at: _At) -> MigrationImpact:
    if at.match["unique"] is None:
        return NOTHING
    if "nulls not distinct" in at.statement.words:
        return judge_unique_index(at.table, "", at.made)
    return judge_unique_index(at.table, at.match["columns"], at.made)


def _alter_table(at: _At) -> MigrationImpact:
    return judge_alter_table(at.statement.words, at.made)


def _update(at: _At) -> MigrationImpact:
    """Values for columns that the migration has just made, and for no others."""
    table = at.table
    assigned = {plain_name(name) for name in re.findall(rf"(?:^|, )({NAME}) = ", at.match["assigned"])}
    several_at_once = re.search(r"(?:^|, )\(", at.match["assigned"])
    if table in at.made.tables or (assigned and not several_at_once and at.made.all_new(table, assigned)):
        return ADDITIVE
    return unknown(f"rows of {table} are rewritten")


def _delete(at: _At) -> MigrationImpact:
    return unknown(f"rows are changed: {at.said}")


def _insert(at: _At) -> MigrationImpact:
    if "do update" in at.statement.words:
        return unknown(f"rows are changed: {at.said}")
    return ADDITIVE


def _do(at: _At) -> MigrationImpact:
    guarded = _UNLESS_THERE.fullmatch(at.statement.bodies[0]) if at.statement.bodies else None
    if guarded is None:
        return unknown("a block of code: what it does can't be told")
    return _classified(guarded["inner"], at.made)


def _dropped(at: _At) -> MigrationImpact:
    names = [relation(one) for one in re.findall(rf"{NAME}(?: \. {NAME})?", at.match["rest"])]
    if at.match["kind"] == "table" and names and set(names) - {"cascade", "restrict"} <= at.made.tables:
        return ADDITIVE
    return breaking(f"drop {at.match['kind']} {', '.join(names)[:60]}")


def _refused(at: _At) -> MigrationImpact:
    return breaking(at.said)


def _hidden(at: _At) -> MigrationImpact:
    return breaking(at.said, shows=False)


def _seen(at: _At) -> MigrationImpact:
    return unknown(f"not known to be harmless: {at.said}", shows=True)


# The first that fits. A name that is dropped or renamed shows; what a policy or a trigger does shows as a difference.
_RULES: tuple[tuple[re.Pattern[str], _Judge | MigrationImpact], ...] = tuple(
    (re.compile(pattern), judge)
    for pattern, judge in (
        (rf"create (?:unlogged )?table (?P<perhaps>if not exists )?{RELATION}", _create_table),
        (
            r"create (?P<unique>unique )?index (?:concurrently )?(?:if not exists )?"
            rf"(?:{NAME} )?on (?:only )?{RELATION} (?:using {NAME} )?\( (?P<columns>.*?) \)",
            _index,
        ),
        (r"alter table ", _alter_table),
        (rf"update (?:only )?{RELATION} (?:as {NAME} )?set (?P<assigned>.+)$", _update),
        (r"(?:delete from|merge into) ", _delete),
        (r"insert into ", _insert),
        (r"do ", _do),
        (r"drop index ", _seen),
        (r"drop (?:trigger|policy|rule) ", _seen),
        (
            r"drop (?P<kind>table|view|materialized view|type|domain|function|procedure|sequence|schema) "
            r"(?:if exists )?(?P<rest>.+)$",
            _dropped,
        ),
        (rf"alter type {RELATION} add value ", ADDITIVE),
        (r"alter (?:type|view|materialized view|sequence|function|domain) .* rename ", _refused),
        (r"(?:truncate|revoke) ", _hidden),
        (r"create (?:trigger|constraint trigger|policy|rule) ", _seen),
        (r"create (?:schema|type|domain|sequence|view|materialized view|function|procedure|extension) ", ADDITIVE),
        (r"create or replace (?:function|procedure) ", _seen),
        (r"grant ", ADDITIVE),
        (
            r"comment on |analyze\b|vacuum\b|refresh materialized view |set (?:local |session )?\w+_timeout |reset ",
            NOTHING,
        ),
        (r"(?:begin|commit|start transaction|end)(?: (?:work|transaction))?$", NOTHING),
    )
)
