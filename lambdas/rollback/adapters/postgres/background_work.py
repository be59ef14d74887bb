"""SQL queries for replication and scheduled jobs. Each part is read by itself, so that a refusal hides no other part.

`pg_replication_slots` covers the whole cluster. `pg_subscription` is a shared catalogue, of which every role reads all
columns but `subconninfo` (PostgreSQL, "pg_subscription"). pg_cron keeps its jobs in one database. Row security shows a
role its own jobs only (https://github.com/citusdata/pg_cron, pg_cron.sql, policy cron_job_policy).
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeVar

import psycopg
from psycopg import errors
from pydantic import BaseModel

from rollback.resources.database.background_work import BackgroundWork, ReplicationSlot, ScheduledJob, Subscription
from rollback.text import service_message

Session = psycopg.Connection[Any]
_Row = TypeVar("_Row", bound=BaseModel)
Connect = Callable[[str], AbstractContextManager[Session]]
"""Opens a session with another database of the same branch."""

_SLOTS = """
SELECT slot_name, coalesce(database, ''), coalesce(plugin, ''), active FROM pg_replication_slots
WHERE slot_type = 'logical' AND NOT temporary ORDER BY slot_name
"""
_SUBSCRIPTIONS = """
SELECT s.subname, d.datname, s.subenabled FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid ORDER BY 1, 2
"""
_JOBS = """
SELECT jobid, coalesce(to_jsonb(j) ->> 'jobname', ''), schedule, database, username,
  coalesce((to_jsonb(j) ->> 'active')::boolean, true)
FROM cron.job j ORDER BY jobid
"""


def read_background_work(session: Session, connect: Connect) -> BackgroundWork:
    """Read slots, subscriptions and jobs, and note the parts that the role may not read.

    Raises:
        psycopg.Error: any error other than the refusal of a part.
    """
    work = BackgroundWork()
    parts: tuple[tuple[str, Callable[[], BackgroundWork]], ...] = (
        ("replication slots", lambda: work.model_copy(update={"slots": _slots(session)})),
        ("subscriptions", lambda: work.model_copy(update={"subscriptions": _subscriptions(session)})),
        ("jobs of pg_cron", lambda: _add_jobs(work, session, connect)),
    )
    for what, read in parts:
        try:
            with session.transaction():  # a savepoint: a refusal does not end the session's transaction
                work = read()
        except (errors.InsufficientPrivilege, errors.UndefinedTable, errors.UndefinedColumn) as refused:
            work = _note_not_seen(work, f"{what} ({service_message(str(refused))})")
    return work


def _slots(session: Session) -> tuple[ReplicationSlot, ...]:
    return tuple(_rows(ReplicationSlot, ("name", "database", "plugin", "active"), session, _SLOTS))


def _subscriptions(session: Session) -> tuple[Subscription, ...]:
    return tuple(_rows(Subscription, ("name", "database", "enabled"), session, _SUBSCRIPTIONS))


def _add_jobs(work: BackgroundWork, session: Session, connect: Connect) -> BackgroundWork:
    """Add pg_cron's jobs, if Postgres knows the setting of pg_cron; the setting names the database of its table."""
    row = session.execute("SELECT current_setting('cron.database_name', true), current_database()").fetchone()
    database, current = row or (None, None)
    if not database:
        return work
    if database == current:
        return _jobs(work, session)
    try:
        with connect(str(database)) as other:
            return _jobs(work, other)
    except psycopg.OperationalError as refused:
        return _note_not_seen(work, f"jobs of pg_cron in database {database} ({service_message(str(refused))})")


def _jobs(work: BackgroundWork, session: Session) -> BackgroundWork:
    row = session.execute("SELECT to_regclass('cron.job') IS NOT NULL").fetchone()
    if row is None or not row[0]:
        return work
    names = ("number", "name", "schedule", "database", "role", "active")
    work = work.model_copy(update={"jobs": tuple(_rows(ScheduledJob, names, session, _JOBS))})
    hidden = session.execute("SELECT row_security_active('cron.job')").fetchone()
    return _note_not_seen(work, "jobs of pg_cron of other roles (row security)") if hidden and hidden[0] else work


def _note_not_seen(work: BackgroundWork, what: str) -> BackgroundWork:
    return work.model_copy(update={"unreadable_parts": (*work.unreadable_parts, what)})


def _rows(kind: type[_Row], names: tuple[str, ...], session: Session, query: str) -> list[_Row]:
    rows = session.execute(query.encode()).fetchall()
    return [kind.model_validate(dict(zip(names, row, strict=True))) for row in rows]
