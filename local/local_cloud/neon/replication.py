"""Logical replication on Neon (https://neon.com/docs/guides/logical-replication-neon).

A project's setting `enable_logical_replication` sets `wal_level=logical`. A restore removes the branch's replication
slots, and a new branch has none. Neon drops a branch's subscriptions before its compute starts.
"""

from psycopg import sql

from local_cloud.neon.cluster import Cluster

LOGICAL_REPLICATION = ("wal_level=logical", "max_replication_slots=10", "max_wal_senders=10")
_SUBSCRIPTIONS = "SELECT subname FROM pg_subscription WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = %s)"
_DROP = (
    "ALTER SUBSCRIPTION {} DISABLE",
    "ALTER SUBSCRIPTION {} SET (slot_name = NONE)",
    "DROP SUBSCRIPTION {}",
)


def drop_subscriptions(cluster: Cluster) -> None:
    """Drop the subscriptions of every database in a running cluster. The publishers' slots stay."""
    with cluster.connect() as session:
        database_names = [row[0] for row in session.execute("SELECT datname FROM pg_database WHERE datallowconn")]
    for database in database_names:
        with cluster.connect(database) as session:
            for (name,) in session.execute(_SUBSCRIPTIONS, [database]).fetchall():
                for statement in _DROP:
                    session.execute(sql.SQL(statement).format(sql.Identifier(name)))
