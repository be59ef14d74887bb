"""ALTER TABLE, action by action. The actions that are known are listed; any other is unknown and does not show."""

from collections.abc import Callable
from typing import Any

from rollback.domain.database.migration_impact import (
    ADDITIVE,
    NO_IMPACT,
    MigrationImpact,
    additive,
    breaking,
    combine_impacts,
    unknown,
)
from rollback_cli.migrations.expressions import find_side_effect, is_volatile_default
from rollback_cli.migrations.made_objects import CreatedObjects
from rollback_cli.migrations.postgres_parser import Node, Statement, relation, strings

_SERIAL = frozenset({"serial", "serial2", "serial4", "serial8", "smallserial", "bigserial"})
# Types that are no domains, so that a row which leaves the column out holds NULL; the grammar puts the SQL standard's
# names into pg_catalog itself.
_BUILT_IN = frozenset(
    {"text", "uuid", "date", "timestamptz", "timetz", "json", "jsonb", "bytea", "bool", "name", "inet", "int2", "int4"}
    | {"int8", "float4", "float8", "numeric", "money", "tsvector"}
)
_HARMLESS = frozenset(
    {
        *("AT_ValidateConstraint", "AT_SetStatistics", "AT_SetOptions", "AT_ResetOptions", "AT_SetStorage"),
        *("AT_SetCompression", "AT_SetRelOptions", "AT_ResetRelOptions", "AT_ClusterOn", "AT_DropCluster"),
    }
)
# Compared by their definition, or by whether they are on: the structure shows what became of them.
_SHOWN = frozenset(
    {
        *("AT_EnableRowSecurity", "AT_DisableRowSecurity", "AT_ForceRowSecurity", "AT_NoForceRowSecurity"),
        *("AT_EnableTrig", "AT_EnableAlwaysTrig", "AT_EnableReplicaTrig", "AT_DisableTrig"),
        *("AT_EnableRule", "AT_EnableAlwaysRule", "AT_EnableReplicaRule", "AT_DisableRule"),
    }
)
_KEYS = frozenset({"CONSTR_UNIQUE", "CONSTR_PRIMARY", "CONSTR_FOREIGN"})
_WORDS = {
    "CONSTR_UNIQUE": "unique key",
    "CONSTR_PRIMARY": "primary key",
    "CONSTR_FOREIGN": "foreign key",
    "CONSTR_CHECK": "check",
    "CONSTR_EXCLUSION": "exclusion",
    "CONSTR_NOTNULL": "NOT NULL",
}


class _Action:
    """One action of an ALTER TABLE on an old table."""

    def __init__(self, table: str, command: Node, made: CreatedObjects) -> None:
        self.table, self.made, self.command = table, made, command
        self.column: str = command.get("name", "")
        definition = command.get("def", {})
        ((self.defined, self.definition),) = definition.items() if definition else (("", {}),)

    @property
    def cascades(self) -> bool:
        return self.command.get("behavior") == "DROP_CASCADE"

    @property
    def on_new_column(self) -> bool:
        return self.made.has_created_columns(self.table, {self.column})


def classify_alter_table(statement: Statement, made: CreatedObjects) -> MigrationImpact:
    """All actions of one ALTER TABLE; of an index, a view or a type nothing is known to be harmless."""
    if statement.node.get("objtype") != "OBJECT_TABLE":
        return unknown(f"not known to be harmless: {statement.brief}")
    table = relation(statement.node["relation"])
    commands = [one["alter_table_cmd"] for one in statement.node.get("cmds", ())]
    return combine_impacts(_classify_action(_Action(table, command, made), statement) for command in commands)


def classify_unique_index(table: str, columns: tuple[str, ...], made: CreatedObjects) -> MigrationImpact:
    """A unique index with the columns, expressions left out."""
    if table in made.tables or made.has_nullable_column(table, columns):
        return ADDITIVE
    return breaking(f"a unique key on {table}: rows are refused that were taken before")


def is_null_when_omitted(definition: Node) -> bool:
    """Whether a row that leaves the column out holds NULL in it, as far as the text tells."""
    return not (_has(definition, "CONSTR_NOTNULL", "CONSTR_PRIMARY") or _gives_value(definition))


def _classify_action(action: _Action, statement: Statement) -> MigrationImpact:
    kind = action.command.get("subtype", "")
    if kind in ("AT_AttachPartition", "AT_AddInherit"):
        return _attach_partition(action, statement)
    if action.table in action.made.tables:
        return ADDITIVE
    if kind in _HARMLESS:
        return NO_IMPACT
    if kind in _SHOWN:
        return unknown(f"not known to be harmless: {statement.brief}", shows=True)
    judge = _CLASSIFIERS.get(kind)
    return unknown(f"not known to be harmless: {statement.brief}") if judge is None else judge(action)


def _attach_partition(action: _Action, statement: Statement) -> MigrationImpact:
    """A new partition takes rows that were refused; an old table that becomes one is bound by it from then on."""
    other = action.definition.get("name", action.definition)
    both_new = action.table in action.made.tables and relation(other) in action.made.tables
    if both_new or (action.defined == "partition_cmd" and relation(other) in action.made.tables):
        return ADDITIVE
    return unknown(f"not known to be harmless: {statement.brief}")


def _add_column(action: _Action) -> MigrationImpact:
    """A column definition: a type, and any of DEFAULT, NOT NULL, UNIQUE, REFERENCES, CHECK, GENERATED."""
    column, definition = action.definition.get("colname", ""), action.definition
    if not action.command.get("missing_ok"):  # else it may be an old one
        action.made.columns.setdefault(action.table, {})[column] = is_null_when_omitted(definition)
    return combine_impacts(
        (additive(f"column {action.table}.{column}"), _column(f"{action.table}.{column}", definition))
    )


def _column(name: str, definition: Node) -> MigrationImpact:
    required = _has(definition, "CONSTR_NOTNULL", "CONSTR_PRIMARY")
    has_default, has_key = _gives_value(definition), _has(definition, *_KEYS)
    against = find_side_effect(_constraints(definition))
    if against is not None:
        return unknown(f"{name}: {against}")
    if required and not has_default:
        return breaking(f"{name} is NOT NULL and has no default: rows without it are refused")
    if _has(definition, "CONSTR_CHECK"):
        return unknown(f"{name} comes with a check", shows=True)
    if has_key and has_default and not _is_volatile(definition):
        return breaking(f"{name} has a key and a default: its second row may be refused")
    if has_key and not has_default and not _is_built_in(definition):
        return unknown(f"{name} has a key, and a type that may have a default", shows=True)
    return ADDITIVE


def _default(action: _Action) -> MigrationImpact:
    name = f"{action.table}.{action.column}"
    if not action.definition:
        return breaking(f"{name}: drop default")
    if action.on_new_column:
        action.made.columns[action.table][action.column] = False
        return unknown(f"{name} is made, then given a default, which its key may refuse", shows=True)
    return unknown(f"{name} is given another default: rows that leave it out are other ones")


def _set_not_null(action: _Action) -> MigrationImpact:
    made = " is made, then" if action.on_new_column else ""
    return breaking(f"{action.table}.{action.column}:{made} set NOT NULL")


def _drop_not_null(action: _Action) -> MigrationImpact:
    if action.on_new_column:
        return ADDITIVE
    return breaking(f"{action.table}.{action.column}: drop NOT NULL")


def _type(action: _Action) -> MigrationImpact:
    """Without USING the values are what the cast makes of them, and the type shows; changed twice, it does not."""
    name = f"{action.table}.{action.column}"
    if action.on_new_column:
        return ADDITIVE
    if "raw_default" in action.definition:
        return breaking(f"{name}: another type, its values rewritten by USING", shows=False)
    if "coll_clause" in action.definition:
        return breaking(f"{name}: another type or collation", shows=False)
    changed = (f"type {name}",)
    return breaking(f"{name}: another type", removes=changed, makes=changed)


def _drop_column(action: _Action) -> MigrationImpact:
    name = f"{action.table}.{action.column}"
    removed = (f"column {name}", *(("view *",) if action.cascades else ()))
    return breaking(f"{name}: drop column", removes=removed)


def _add_identity(action: _Action) -> MigrationImpact:
    name = f"{action.table}.{action.column}"
    classify_text = unknown(f"{name} is given an identity", shows=True)
    return classify_text.model_copy(update={"makes": (f"identity {name}",)})


def _drop_identity(action: _Action) -> MigrationImpact:
    name = f"{action.table}.{action.column}"
    return breaking(f"{name}: drop identity", removes=(f"identity {name}",))


def _drop_expression(action: _Action) -> MigrationImpact:
    return breaking(f"{action.table}.{action.column}: drop expression")


def _drop_constraint(action: _Action) -> MigrationImpact:
    return breaking(f"{action.table}: drop constraint {action.column}")


def _add_constraint(action: _Action) -> MigrationImpact:
    definition = action.definition
    kind = definition.get("contype", "")
    columns = strings(definition.get("fk_attrs") if kind == "CONSTR_FOREIGN" else definition.get("keys"))
    # A key passes NULL; `f` is MATCH FULL, which takes no row that is NULL in a part only.
    null_passes = kind in ("CONSTR_UNIQUE", "CONSTR_FOREIGN") and not definition.get("nulls_not_distinct")
    if null_passes and definition.get("fk_matchtype") != "f" and action.made.has_nullable_column(action.table, columns):
        return ADDITIVE
    word = _WORDS.get(kind, "constraint")
    return breaking(f"a new {word} on {action.table}: rows are refused that were taken before")


_CLASSIFIERS: dict[str, Callable[[_Action], MigrationImpact]] = {
    "AT_AddColumn": _add_column,
    "AT_ColumnDefault": _default,
    "AT_SetNotNull": _set_not_null,
    "AT_DropNotNull": _drop_not_null,
    "AT_AlterColumnType": _type,
    "AT_DropColumn": _drop_column,
    "AT_AddIdentity": _add_identity,
    "AT_DropIdentity": _drop_identity,
    "AT_DropExpression": _drop_expression,
    "AT_AddConstraint": _add_constraint,
    "AT_DropConstraint": _drop_constraint,
}


def _constraints(definition: Node) -> list[Any]:
    return [one["constraint"] for one in definition.get("constraints", ()) if "constraint" in one]


def _has(definition: Node, *kinds: str) -> bool:
    return any(one.get("contype") in kinds for one in _constraints(definition))


def _gives_value(definition: Node) -> bool:
    """A default; `DEFAULT NULL` counts too, which only errs to the careful side."""
    return _is_serial(definition) or _has(definition, "CONSTR_DEFAULT", "CONSTR_GENERATED", "CONSTR_IDENTITY")


def _is_volatile(definition: Node) -> bool:
    if _is_serial(definition) or _has(definition, "CONSTR_IDENTITY"):
        return True
    defaults = [one for one in _constraints(definition) if one.get("contype") == "CONSTR_DEFAULT"]
    return any(is_volatile_default(one.get("raw_expr")) for one in defaults)


def _type_name(definition: Node) -> tuple[str, ...]:
    return strings(definition.get("type_name", {}).get("names"))


def _is_serial(definition: Node) -> bool:
    return len(_type_name(definition)) == 1 and _type_name(definition)[0] in _SERIAL


def _is_built_in(definition: Node) -> bool:
    names = _type_name(definition)
    return names[:1] == ("pg_catalog",) or (len(names) == 1 and names[0] in _BUILT_IN | _SERIAL)
