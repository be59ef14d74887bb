"""Structure of a database, read from Postgres's catalogue.

Each query returns plain values, and equal values for equal structures, so that different answers mean different
schemas. The catalogue's columns are those of Postgres 14 to 18 (chapter "System Catalogs").
"""

import hashlib
from typing import Any

import psycopg

from rollback.resources.database.live_schema import NEON_SCHEMAS, Column, Constraint, LiveSchema, SchemaObject

NOT_SYSTEM_SCHEMA = "n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%'"
# Objects of an extension come and go with the extension; pg_stat_statements has views in `public`.
_OF_EXTENSIONS = (
    "EXISTS (SELECT FROM pg_depend d WHERE d.classid = '{0}'::regclass AND d.objid = {1} AND d.deptype = 'e')"
)
_APPLICATION_SCHEMA = f"{NOT_SYSTEM_SCHEMA} AND n.nspname NOT IN ({', '.join(repr(name) for name in NEON_SCHEMAS)})"
# Statements reach a partition through its parent, and jobs create and drop partitions: retention is no migration.
_OWN_RELATION = f"{_APPLICATION_SCHEMA} AND NOT c.relispartition AND NOT {_OF_EXTENSIONS.format('pg_class', 'c.oid')}"

_VOLATILE_DEFAULT = r"^(nextval|gen_random_uuid|uuid_generate_v[14]|uuidv[47])\("
_COLUMNS = f"""
SELECT c.relkind::text, n.nspname || '.' || c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
       NOT (a.attnotnull OR t.typnotnull), a.atthasdef OR a.attidentity <> '' OR t.typdefault IS NOT NULL,
       a.attgenerated <> '' OR a.attidentity = 'a',
       a.attidentity <> '' OR coalesce(pg_get_expr(f.adbin, f.adrelid) ~ '{_VOLATILE_DEFAULT}', false),
       coalesce(pg_get_expr(f.adbin, f.adrelid), CASE WHEN a.attidentity = '' THEN t.typdefault END),
       (SELECT format('%s: %s by %s in %s to %s%s', s.seqtypid::regtype, s.seqstart, s.seqincrement, s.seqmin, s.seqmax,
                      CASE WHEN s.seqcycle THEN ', then again' END)
        FROM pg_depend o JOIN pg_sequence s ON s.seqrelid = o.objid
        WHERE o.classid = 'pg_class'::regclass AND o.refclassid = 'pg_class'::regclass AND o.refobjid = c.oid
          AND o.refobjsubid = a.attnum AND o.deptype IN ('a', 'i') ORDER BY s.seqrelid LIMIT 1)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
JOIN pg_type t ON t.oid = a.atttypid -- a domain may forbid NULL, and have a default
LEFT JOIN pg_attrdef f ON f.adrelid = c.oid AND f.adnum = a.attnum
WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm') AND a.attnum > 0 AND NOT a.attisdropped AND {_OWN_RELATION}
ORDER BY 2, a.attnum
"""  # noqa: S608 - put together from constants
_VIEWS = ("v", "m")
_MAX_DEFAULT = 200
_VIEW_BODIES = f"""
SELECT n.nspname || '.' || c.relname, md5(pg_get_viewdef(c.oid))
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('v', 'm') AND {_OWN_RELATION} ORDER BY 1
"""  # noqa: S608 - put together from constants
_PARTITIONS = f"""
SELECT n.nspname || '.' || c.relname, pn.nspname || '.' || p.relname
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_inherits i ON i.inhrelid = c.oid
JOIN pg_class p ON p.oid = i.inhparent JOIN pg_namespace pn ON pn.oid = p.relnamespace
WHERE c.relispartition AND c.relkind IN ('r', 'p', 'f') AND {_APPLICATION_SCHEMA} ORDER BY 1
"""  # noqa: S608 - put together from constants

# A unique index refuses rows whether or not it belongs to a constraint. A partial, deferrable or invalid index is no
# arbiter for ON CONFLICT, so its definition says so. `indnullsnotdistinct` came with Postgres 15.
_UNIQUE = f"""
SELECT n.nspname || '.' || c.relname,
       ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum = ANY (used.columns)
             ORDER BY a.attnum),
       concat((SELECT string_agg(pg_get_indexdef(i.indexrelid, k, true), ', ' ORDER BY k)
               FROM generate_series(1, i.indnkeyatts) k),
              ' WHERE ' || pg_get_expr(i.indpred, i.indrelid), CASE WHEN nulls.equal THEN ' NULLS NOT DISTINCT' END,
              CASE WHEN NOT i.indimmediate THEN ' DEFERRABLE' END, CASE WHEN NOT i.indisvalid THEN ' INVALID' END),
       i.indexprs IS NULL AND NOT nulls.equal
FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (SELECT coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, false) AS equal) nulls
CROSS JOIN LATERAL (SELECT CASE WHEN i.indexprs IS NULL THEN (i.indkey::int2[])[0:i.indnkeyatts - 1] ELSE
    ARRAY(SELECT d.refobjsubid::int2 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
          AND d.objid = i.indexrelid AND d.refobjid = i.indrelid) END AS columns) used
WHERE i.indisunique AND {_OWN_RELATION}
ORDER BY 1, 3
"""  # noqa: S608 - put together from constants

# An unvalidated constraint refuses new rows like any other.
_CONSTRAINTS = f"""
SELECT n.nspname || '.' || c.relname, k.contype::text,
       ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum = ANY (k.conkey)
             ORDER BY a.attnum),
       replace(pg_get_constraintdef(k.oid), ' NOT VALID', ''), k.contype = 'f' AND k.confmatchtype = 's',
       CASE WHEN k.contype = 'f' AND k.confdeltype IN ('a', 'r') THEN
         (SELECT rn.nspname || '.' || r.relname FROM pg_class r JOIN pg_namespace rn ON rn.oid = r.relnamespace
          WHERE r.oid = k.confrelid) END
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE k.contype IN ('c', 'f', 'x') AND {_OWN_RELATION}
ORDER BY 1, 2, 4
"""  # noqa: S608 - put together from constants
_KINDS = {"c": "check", "f": "foreign", "x": "exclusion"}

_ENUMS = f"""
SELECT format_type(t.oid, NULL), array_agg(e.enumlabel::text ORDER BY e.enumsortorder)
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace JOIN pg_enum e ON e.enumtypid = t.oid
WHERE {_APPLICATION_SCHEMA} AND NOT {_OF_EXTENSIONS.format("pg_type", "t.oid")} GROUP BY t.oid ORDER BY 1
"""  # noqa: S608 - put together from constants

# A sequence that a column owns is part of that column.
_OBJECTS = f"""
SELECT 'sequence', n.nspname || '.' || c.relname, md5(to_jsonb(s)::text), NULL::text
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (SELECT seqtypid::regtype::text, seqincrement, seqmin, seqmax, seqcycle
                    FROM pg_sequence WHERE seqrelid = c.oid) s
WHERE c.relkind = 'S' AND {_OWN_RELATION} AND NOT EXISTS (SELECT FROM pg_depend d
    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0)
UNION ALL
SELECT 'function', format('%s.%s(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)),
       md5(concat_ws(' ', p.prokind, p.provolatile, p.proisstrict, p.prosecdef, pg_get_function_result(p.oid),
                     p.prosrc, to_jsonb(p) ->> 'prosqlbody')), NULL
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE {_APPLICATION_SCHEMA} AND NOT {_OF_EXTENSIONS.format("pg_proc", "p.oid")}
UNION ALL
SELECT 'domain', format_type(t.oid, NULL),
       md5(concat_ws(' ', format_type(t.typbasetype, t.typtypmod), t.typnotnull, t.typdefault, (SELECT string_agg(
           replace(pg_get_constraintdef(k.oid), ' NOT VALID', ''), ' ' ORDER BY pg_get_constraintdef(k.oid))
           FROM pg_constraint k WHERE k.contypid = t.oid))), NULL
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE t.typtype = 'd' AND {_APPLICATION_SCHEMA} AND NOT {_OF_EXTENSIONS.format("pg_type", "t.oid")}
UNION ALL
SELECT 'type', n.nspname || '.' || c.relname, md5((SELECT string_agg(
    concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod)), ',' ORDER BY a.attnum)
    FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)), NULL
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'c' AND {_OWN_RELATION}
UNION ALL
SELECT o.kind, n.nspname || '.' || c.relname || ' ' || o.name, md5(o.definition), n.nspname || '.' || c.relname
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (
    SELECT 'trigger' AS kind, tgname AS name, concat(tgenabled, pg_get_triggerdef(oid)) AS definition
    FROM pg_trigger WHERE tgrelid = c.oid AND NOT tgisinternal
    UNION ALL SELECT 'rule', rulename, concat(ev_enabled, pg_get_ruledef(oid))
    FROM pg_rewrite WHERE ev_class = c.oid AND rulename <> '_RETURN'
    UNION ALL SELECT 'policy', polname, concat_ws(' ', polcmd, polpermissive, pg_get_expr(polqual, polrelid),
        pg_get_expr(polwithcheck, polrelid), polroles::regrole[]::text) FROM pg_policy WHERE polrelid = c.oid
    UNION ALL SELECT 'row security', '', c.relforcerowsecurity::text WHERE c.relrowsecurity
) o
WHERE {_OWN_RELATION}
ORDER BY 1, 2
"""  # noqa: S608 - put together from constants


def read_schema(session: "psycopg.Connection[Any]") -> LiveSchema:
    """Read the whole structure; the session's transaction decides whether all queries see one snapshot."""
    tables: dict[str, dict[str, Column]] = {}
    views: dict[str, dict[str, Column]] = {}
    for relation, name, column, kind, nullable, has_default, generated, differs, default, sequence in session.execute(
        _COLUMNS.encode()
    ):
        description = Column(
            type=kind,
            nullable=nullable,
            has_default=has_default,
            generated=generated,
            default_differs=differs,
            default=_shorten_default(default),
            sequence=sequence,
        )
        (views if relation in _VIEWS else tables).setdefault(name, {})[column] = description
    objects = session.execute(_OBJECTS.encode()).fetchall()
    return LiveSchema(
        tables=tables,
        views=views,
        constraints=_constraints(session),
        enums={name: tuple(values) for name, values in session.execute(_ENUMS.encode())},
        objects=tuple(SchemaObject(kind=k, name=n.rstrip(), definition=d, table=t) for k, n, d, t in objects),
        view_bodies=dict(session.execute(_VIEW_BODIES.encode()).fetchall()),
        partitions=dict(session.execute(_PARTITIONS.encode()).fetchall()),
    )


def _shorten_default(default: str | None) -> str | None:
    if default is None or len(default) <= _MAX_DEFAULT:
        return default
    return f"sha256 {hashlib.sha256(default.encode()).hexdigest()}"


def _constraints(session: "psycopg.Connection[Any]") -> dict[str, tuple[Constraint, ...]]:
    constraints: dict[str, tuple[Constraint, ...]] = {}
    for table, columns, definition, null_passes in session.execute(_UNIQUE.encode()):
        constraint = Constraint(kind="unique", columns=tuple(columns), definition=definition, null_passes=null_passes)
        constraints[table] = (*constraints.get(table, ()), constraint)
    for table, kind, columns, definition, null_passes, refuses_deletes_in in session.execute(_CONSTRAINTS.encode()):
        constraint = Constraint.model_validate(
            {
                "kind": _KINDS[kind],
                "columns": tuple(columns),
                "definition": definition,
                "null_passes": null_passes,
                "refuses_deletes_in": refuses_deletes_in,
            }
        )
        constraints[table] = (*constraints.get(table, ()), constraint)
    return constraints
