"""What a migration means for the release before it, told from its SQL alone.

What is known to be harmless is listed; what is on no list is unknown. A statement is judged as it stands in its file:
keys of a table that the file itself has made, and values for its own new columns, harm nobody.
"""

import re
from collections.abc import Callable, Iterator

from rollback.model.migration_tables import RELATION, Made, judge_alter_table, judge_unique_index, relation
from rollback.model.sql_statements import NAME, Statement, Unreadable, plain_name, statements
from rollback.model.statement_impact import ADDITIVE, NOTHING, MigrationImpact, breaking, together, unknown

_Judge = Callable[[re.Match[str], Statement, Made], MigrationImpact]

# Older versions of drizzle-kit wrap what has no IF NOT EXISTS in such a block.
_UNLESS_THERE = re.compile(r"\s*begin\s(?P<inner>.*)\sexception\s+when\s+duplicate_object\s+then\s+null\s*;\s*end\s*;?\s*",
                           re.IGNORECASE | re.DOTALL)  # fmt: skip


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
                yield judge(match, statement, made)
                break
        else:
            yield unknown(f"not known to be harmless: {statement.words[:80]}")


def _create_table(match: re.Match[str], statement: Statement, made: Made) -> MigrationImpact:
    made.tables.add(relation(match["table"]))
    return ADDITIVE


def _index(match: re.Match[str], statement: Statement, made: Made) -> MigrationImpact:
    if match["unique"] is None:
        return NOTHING
    if "nulls not distinct" in statement.words:
        return judge_unique_index(relation(match["table"]), "", made)
    return judge_unique_index(relation(match["table"]), match["columns"], made)


def _alter_table(match: re.Match[str], statement: Statement, made: Made) -> MigrationImpact:
    return judge_alter_table(statement.words, made)


def _update(match: re.Match[str], statement: Statement, made: Made) -> MigrationImpact:
    """Values for columns that the migration has just made, and for no others."""
    table = relation(match["table"])
    assigned = {plain_name(name) for name in re.findall(rf"(?:^|, )({NAME}) = ", match["assigned"])}
    if table in made.tables or (
        assigned and made.all_new(table, assigned) and "(" not in match["assigned"].split(" from ")[0]
    ):
        return ADDITIVE
    return unknown(f"rows of {table} are rewritten")


def _delete(match: re.Match[str], statement: Statement, made: Made) -> MigrationImpact:
    return unknown(f"rows are changed: {statement.words[:80]}")


def _insert(match: re.Match[str], statement: Statement, made: Made) -> MigrationImpact:
    if "do update" in statement.words:
        return unknown(f"rows are changed: {statement.words[:80]}")
    return ADDITIVE


def _do(match: re.Match[str], statement: Statement, made: Made) -> MigrationImpact:
    guarded = _UNLESS_THERE.fullmatch(statement.bodies[0]) if statement.bodies else None
    if guarded is None:
        return unknown("a block of code: what it does can't be told")
    return _classified(guarded["inner"], made)


def _dropped(match: re.Match[str], statement: Statement, made: Made) -> MigrationImpact:
    names = [relation(one) for one in re.findall(rf"{NAME}(?: \. {NAME})?", match["rest"])]
    if match["kind"] == "table" and names and set(names) - {"cascade", "restrict"} <= made.tables:
        return ADDITIVE
    return breaking(f"drop {match['kind']} {', '.join(names)[:60]}")


def _harmless(match: re.Match[str], statement: Statement, made: Made) -> MigrationImpact:
    return NOTHING


def _more(match: re.Match[str], statement: Statement, made: Made) -> MigrationImpact:
    return ADDITIVE


def _refused(match: re.Match[str], statement: Statement, made: Made) -> MigrationImpact:
    return breaking(statement.words[:80])


def _hidden(match: re.Match[str], statement: Statement, made: Made) -> MigrationImpact:
    return breaking(statement.words[:80], shows=False)


def _seen(match: re.Match[str], statement: Statement, made: Made) -> MigrationImpact:
    return unknown(f"not known to be harmless: {statement.words[:80]}", shows=True)


# The first that fits. A name that is dropped or renamed shows; what a policy or a trigger does shows as a difference.
_RULES: tuple[tuple[re.Pattern[str], _Judge], ...] = tuple(
    (re.compile(pattern), judge)
    for pattern, judge in (
        (rf"create (?:unlogged )?table (?:if not exists )?{RELATION}", _create_table),
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
            r"drop (?P<kind>table|column|view|materialized view|type|domain|function|procedure|sequence|schema) "
            r"(?:if exists )?(?P<rest>.+)$",
            _dropped,
        ),
        (rf"alter type {RELATION} add value ", _more),
        (r"alter (?:type|view|materialized view|sequence|function|domain) .* rename ", _refused),
        (r"(?:truncate|revoke) ", _hidden),
        (r"create (?:trigger|constraint trigger|policy|rule) ", _seen),
        (r"create (?:schema|type|domain|sequence|view|materialized view|function|procedure|extension) ", _more),
        (r"create or replace (?:function|procedure) ", _seen),
        (r"grant ", _more),
        (
            r"comment on |analyze\b|vacuum\b|refresh materialized view |set (?!role|session authorization)|reset ",
            _harmless,
        ),
        (r"(?:begin|commit|start transaction|end)(?: (?:work|transaction))?$", _harmless),
    )
)
