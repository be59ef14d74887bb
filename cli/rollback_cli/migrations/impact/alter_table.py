"""ALTER TABLE, action by action. An action on no list is unknown, and not visible in the structure."""

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
from rollback_cli.migrations.impact.created_objects import CreatedObjects, FileContext
from rollback_cli.migrations.impact.expressions import find_side_effect, is_volatile_default
from rollback_cli.migrations.impact.postgres_parser import Node, Statement, relation, strings
from rollback_cli.migrations.impact.unknown_statement import unknown_statement

_SERIAL = frozenset({"serial", "serial2", "serial4", "serial8", "smallserial", "bigserial"})
# Types that are no domains: a row that leaves the column out has NULL there. The parser qualifies the names of the SQL
# standard with pg_catalog.
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
# The structure has the definitions of these, or whether they are enabled, and so shows the change.
_VISIBLE = frozenset(
    {
        *("AT_EnableRowSecurity", "AT_DisableRowSecurity", "AT_ForceRowSecurity", "AT_NoForceRowSecurity"),
        *("AT_EnableTrig", "AT_EnableAlwaysTrig", "AT_EnableReplicaTrig", "AT_DisableTrig"),
        *("AT_EnableRule", "AT_EnableAlwaysRule", "AT_EnableReplicaRule", "AT_DisableRule"),
    }
)
_KEYS = frozenset({"CONSTR_UNIQUE", "CONSTR_PRIMARY", "CONSTR_FOREIGN"})
_CONSTRAINT_NAMES = {
    "CONSTR_UNIQUE": "unique key",
    "CONSTR_PRIMARY": "primary key",
    "CONSTR_FOREIGN": "foreign key",
    "CONSTR_CHECK": "check",
    "CONSTR_EXCLUSION": "exclusion",
    "CONSTR_NOTNULL": "NOT NULL",
}


class _Action:
    """One action of an ALTER TABLE.

    Attributes:
        kind: the parser's name of the action, such as `AT_AddColumn`.
        column: name of the column or constraint that the action changes; empty: the action names neither.
        definition_kind: the parser's name of the node in `definition`.
        definition: node that defines the new column, constraint or partition; empty: the action has none.
    """

    def __init__(self, table: str, command: Node, created: CreatedObjects) -> None:
        self.table, self.created, self.command = table, created, command
        self.kind: str = command.get("subtype", "")
        self.column: str = command.get("name", "")
        definition = command.get("def", {})
        ((self.definition_kind, self.definition),) = definition.items() if definition else (("", {}),)

    @property
    def cascades(self) -> bool:
        return self.command.get("behavior") == "DROP_CASCADE"

    @property
    def is_on_created_column(self) -> bool:
        return self.created.has_created_columns(self.table, {self.column})


def classify_alter_table(statement: Statement, context: FileContext) -> MigrationImpact:
    """Classify all actions of one ALTER TABLE; ALTER INDEX, VIEW and TYPE are the same node, and unknown."""
    if statement.node.get("objtype") != "OBJECT_TABLE":
        return unknown_statement(statement)
    table = relation(statement.node["relation"])
    commands = [item["alter_table_cmd"] for item in statement.node.get("cmds", ())]
    actions = [_Action(table, command, context.created) for command in commands]
    return combine_impacts(_classify_action(action, statement) for action in actions)


def classify_unique_index(table: str, columns: tuple[str, ...], created: CreatedObjects) -> MigrationImpact:
    """Classify a unique index.

    Args:
        table: name of the table that gets the index.
        columns: columns of the index, without its expressions.
        created: objects that earlier statements of the file have created.
    """
    if table in created.tables or created.has_nullable_column(table, columns):
        return ADDITIVE
    return breaking(f"a unique key on {table}: rows are refused that were accepted before")


def is_null_when_omitted(definition: Node) -> bool:
    """Return whether a row that leaves the column out has NULL in it, as far as the text tells."""
    return not (_has_constraint(definition, "CONSTR_NOTNULL", "CONSTR_PRIMARY") or _provides_value(definition))


def _classify_action(action: _Action, statement: Statement) -> MigrationImpact:
    kind = action.kind
    if kind in ("AT_AttachPartition", "AT_AddInherit"):
        return _attach_partition(action, statement)
    if action.table in action.created.tables:
        return ADDITIVE
    if kind in _HARMLESS:
        return NO_IMPACT
    if kind in _VISIBLE:
        return unknown_statement(statement, shows=True)
    classifier = _CLASSIFIERS.get(kind)
    return unknown_statement(statement) if classifier is None else classifier(action)


def _attach_partition(action: _Action, statement: Statement) -> MigrationImpact:
    """Classify ATTACH PARTITION and INHERIT.

    A partition that the file has created accepts rows that were refused before. An old table that becomes a partition
    refuses rows that it accepted before.
    """
    other_table = action.definition.get("name", action.definition)
    is_other_created = relation(other_table) in action.created.tables
    are_both_created = action.table in action.created.tables and is_other_created
    if are_both_created or (action.definition_kind == "partition_cmd" and is_other_created):
        return ADDITIVE
    return unknown_statement(statement)


def _add_column(action: _Action) -> MigrationImpact:
    column, definition = action.definition.get("colname", ""), action.definition
    if not action.command.get("missing_ok"):  # with IF NOT EXISTS the column may be an old one
        action.created.columns.setdefault(action.table, {})[column] = is_null_when_omitted(definition)
    return combine_impacts(
        (additive(f"column {action.table}.{column}"), _classify_definition(f"{action.table}.{column}", definition))
    )


def _classify_definition(name: str, definition: Node) -> MigrationImpact:
    """Classify a column's type with any of DEFAULT, NOT NULL, UNIQUE, REFERENCES, CHECK, GENERATED."""
    is_required = _has_constraint(definition, "CONSTR_NOTNULL", "CONSTR_PRIMARY")
    has_default, has_key = _provides_value(definition), _has_constraint(definition, *_KEYS)
    side_effect = find_side_effect(_constraints(definition))
    if side_effect is not None:
        return unknown(f"{name}: {side_effect}")
    if is_required and not has_default:
        return breaking(f"{name} is NOT NULL and has no default: rows without it are refused")
    if _has_constraint(definition, "CONSTR_CHECK"):
        return unknown(f"{name} has a check constraint", shows=True)
    if has_key and has_default and not _has_volatile_default(definition):
        return breaking(f"{name} has a key and a default: the second row with the default may be refused")
    if has_key and not has_default and not _is_built_in(definition):
        return unknown(f"{name} has a key, and a type that may have a default", shows=True)
    return ADDITIVE


def _change_default(action: _Action) -> MigrationImpact:
    name = f"{action.table}.{action.column}"
    if not action.definition:
        return breaking(f"{name}: drop default")
    if action.is_on_created_column:
        action.created.columns[action.table][action.column] = False
        return unknown(f"{name} is created, then gets a default, which its key may refuse", shows=True)
    return unknown(f"{name} gets another default: rows without a value for the column get other values")


def _set_not_null(action: _Action) -> MigrationImpact:
    prefix = " is created, then" if action.is_on_created_column else ""
    return breaking(f"{action.table}.{action.column}:{prefix} set NOT NULL")


def _drop_not_null(action: _Action) -> MigrationImpact:
    if action.is_on_created_column:
        return ADDITIVE
    return breaking(f"{action.table}.{action.column}: drop NOT NULL")


def _change_type(action: _Action) -> MigrationImpact:
    """Classify a change of type.

    Without USING, a cast computes the values, and the structure shows the type. The structure does not show a change
    of type that a later change reverts, so the type is both removed and made.
    """
    name = f"{action.table}.{action.column}"
    if action.is_on_created_column:
        return ADDITIVE
    if "raw_default" in action.definition:
        return breaking(f"{name}: another type, its values rewritten by USING", shows=False)
    if "coll_clause" in action.definition:
        return breaking(f"{name}: another type or collation", shows=False)
    type_names = (f"type {name}",)
    return breaking(f"{name}: another type", removes=type_names, makes=type_names)


def _drop_column(action: _Action) -> MigrationImpact:
    name = f"{action.table}.{action.column}"
    removed_names = (f"column {name}", *(("view *",) if action.cascades else ()))
    return breaking(f"{name}: drop column", removes=removed_names)


def _add_identity(action: _Action) -> MigrationImpact:
    name = f"{action.table}.{action.column}"
    impact = unknown(f"{name} becomes an identity column", shows=True)
    return impact.model_copy(update={"makes": (f"identity {name}",)})


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
    # A key accepts NULL. `f` is MATCH FULL, which refuses a row that is NULL in some of the columns only.
    accepts_null = kind in ("CONSTR_UNIQUE", "CONSTR_FOREIGN") and not definition.get("nulls_not_distinct")
    if (
        accepts_null
        and definition.get("fk_matchtype") != "f"
        and action.created.has_nullable_column(action.table, columns)
    ):
        return ADDITIVE
    name = _CONSTRAINT_NAMES.get(kind, "constraint")
    return breaking(f"a new {name} on {action.table}: rows are refused that were accepted before")


_CLASSIFIERS: dict[str, Callable[[_Action], MigrationImpact]] = {
    "AT_AddColumn": _add_column,
    "AT_ColumnDefault": _change_default,
    "AT_SetNotNull": _set_not_null,
    "AT_DropNotNull": _drop_not_null,
    "AT_AlterColumnType": _change_type,
    "AT_DropColumn": _drop_column,
    "AT_AddIdentity": _add_identity,
    "AT_DropIdentity": _drop_identity,
    "AT_DropExpression": _drop_expression,
    "AT_AddConstraint": _add_constraint,
    "AT_DropConstraint": _drop_constraint,
}


def _constraints(definition: Node) -> list[Any]:
    return [node["constraint"] for node in definition.get("constraints", ()) if "constraint" in node]


def _has_constraint(definition: Node, *kinds: str) -> bool:
    return any(constraint.get("contype") in kinds for constraint in _constraints(definition))


def _provides_value(definition: Node) -> bool:
    """Return whether the column has a default; `DEFAULT NULL` counts too, which is the careful side."""
    return _is_serial(definition) or _has_constraint(
        definition, "CONSTR_DEFAULT", "CONSTR_GENERATED", "CONSTR_IDENTITY"
    )


def _has_volatile_default(definition: Node) -> bool:
    if _is_serial(definition) or _has_constraint(definition, "CONSTR_IDENTITY"):
        return True
    defaults = [c for c in _constraints(definition) if c.get("contype") == "CONSTR_DEFAULT"]
    return any(is_volatile_default(default.get("raw_expr")) for default in defaults)


def _type_name(definition: Node) -> tuple[str, ...]:
    return strings(definition.get("type_name", {}).get("names"))


def _is_serial(definition: Node) -> bool:
    return len(_type_name(definition)) == 1 and _type_name(definition)[0] in _SERIAL


def _is_built_in(definition: Node) -> bool:
    names = _type_name(definition)
    return names[:1] == ("pg_catalog",) or (len(names) == 1 and names[0] in _BUILT_IN | _SERIAL)
