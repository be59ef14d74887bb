"""Sequences of a branch. `set_sequences` is the only call of the adapters that writes to a database."""

from collections.abc import Iterable, Mapping

import psycopg
from psycopg import sql
from pydantic import SecretStr

from rollback.adapters.postgres.session import open_session, translate_error
from rollback.domain.database.sequences import Name, SequenceValue
from rollback.text import service_message

_SECONDS = 10.0  # the services have zero tasks until then
# `pg_sequence_last_value` is NULL before the first `nextval` (manual, view "pg_sequences"). Identity columns have
# sequences too. Sequences of extensions and temporary tables are left out, since no application's ids come from them.
_SEQUENCES = """
SELECT n.nspname::text, c.relname::text,
       CASE WHEN allowed.read THEN pg_sequence_last_value(c.oid::regclass) END,
       s.seqincrement, s.seqmin, s.seqmax, s.seqcycle, allowed.read
FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (SELECT has_schema_privilege(n.oid, 'USAGE')
                       AND has_sequence_privilege(c.oid, 'SELECT, USAGE') AS read) allowed
WHERE c.relpersistence <> 't' AND n.nspname NOT IN ('pg_catalog', 'information_schema')
ORDER BY 1, 2
"""


class PostgresSequences:
    """Part of the adapter that reads and sets sequences."""

    def sequences(self, address: SecretStr, database: str) -> tuple[SequenceValue, ...]:
        """Query `pg_sequence` and `pg_sequence_last_value`."""
        with open_session(address, database=database, statement_seconds=_SECONDS) as session:
            rows = session.execute(_SEQUENCES).fetchall()
        return tuple(
            SequenceValue(
                database=database,
                schema_name=schema,
                name=name,
                last_value=value,
                increment=increment,
                minimum=minimum,
                maximum=maximum,
                cycles=cycles,
                is_readable=readable,
            )
            for schema, name, value, increment, minimum, maximum, cycles, readable in rows
        )

    def set_sequences(
        self, address: SecretStr, database: str, values: Iterable[tuple[SequenceValue, int]]
    ) -> Mapping[Name, str]:
        """Call `setval` for each sequence in a savepoint; bounds, increment and `CYCLE` stay."""
        refused: dict[Name, str] = {}
        with open_session(address, database=database, statement_seconds=_SECONDS, writes=True) as session:
            session.execute("SET LOCAL lock_timeout = '2s'")
            for sequence, value in values:
                identifier = sql.Identifier(sequence.schema_name, sequence.name).as_string(session)
                try:
                    with session.transaction():
                        session.execute("SELECT setval(%s::regclass, %s, true)", [identifier, value])
                except psycopg.Error as error:
                    if session.broken:
                        raise translate_error(error, session) from error
                    refused[sequence.identity] = service_message(str(error))
        return refused
