"""Side effects of an expression: a call of a function that writes, a change of rows, a failure for a row."""

from typing import Any

from rollback_cli.migrations.impact.postgres_parser import Node, nodes, strings

# Functions of Postgres that write nothing and fail for no value. `nextval` advances a sequence, as any INSERT does.
_HARMLESS = frozenset(
    {
        *("now", "clock_timestamp", "transaction_timestamp", "statement_timestamp", "date_trunc", "timezone"),
        *("gen_random_uuid", "uuidv4", "uuidv7", "uuid_generate_v4", "random", "nextval"),
        *("lower", "upper", "btrim", "ltrim", "rtrim", "initcap", "concat", "concat_ws", "length", "char_length"),
        *("md5", "left", "right", "replace", "count", "max", "min", "array_agg", "string_agg", "row_number"),
        *("to_tsvector", "jsonb_build_object", "jsonb_build_array", "json_build_object", "array_length"),
    }
)
# Functions that return another value for each row, so that a key on the column refuses no row.
_VOLATILE_FUNCTIONS = frozenset(
    {"gen_random_uuid", "uuid_generate_v1", "uuid_generate_v4", "uuidv4", "uuidv7", "nextval"}
)
_NEVER_FAIL = frozenset({"=", "<>", "<", ">", "<=", ">=", "->", "->>", "#>", "#>>", "||", "@>", "<@", "~~", "~~*"})
_TEXT = frozenset({"text", "varchar"})
_WRITES = frozenset({"insert_stmt", "update_stmt", "delete_stmt", "merge_stmt", "into_clause"})


def find_side_effect(tree: Any) -> str | None:
    """Say why evaluating an expression or a query may do more than return a value; None: it does not."""
    for name, node in nodes(tree):
        if name in _WRITES:
            return "the expression contains a statement that changes rows"
        if name == "func_call" and not _is_harmless(node):
            return f"the expression calls {'.'.join(strings(node.get('funcname')))}, whose effect is unknown"
    return None


def may_fail(tree: Any) -> bool:
    """Return whether an expression of an index may fail for a row's value, as a cast or a division does."""
    for name, node in nodes(tree):
        if name == "func_call" and not _is_harmless(node):
            return True
        if name == "type_cast" and not _never_fails(node):
            return True
        if name == "a_expr" and not set(strings(node.get("name"))) <= _NEVER_FAIL:
            return True
    return False


def is_volatile_default(tree: Any) -> bool:
    """Return whether the outermost call of a default returns another value for each row."""
    call = tree.get("func_call") if isinstance(tree, dict) else None
    return call is not None and strings(call.get("funcname"))[-1:] != () and _name(call) in _VOLATILE_FUNCTIONS


def _never_fails(cast: Node) -> bool:
    """Return whether a cast never fails for a row: a cast to text, or of a constant, which fails at once or never."""
    return "a_const" in cast.get("arg", {}) or bool(set(strings(cast.get("type_name", {}).get("names"))) & _TEXT)


def _is_harmless(call: Node) -> bool:
    parts = strings(call.get("funcname"))
    return parts[:-1] in ((), ("pg_catalog",)) and parts[-1:] != () and parts[-1] in _HARMLESS


def _name(call: Node) -> str:
    return strings(call.get("funcname"))[-1]
