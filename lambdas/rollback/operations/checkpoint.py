"""A checkpoint: the database's position before a version's migrations run, and the impact of those migrations."""

from dataclasses import dataclass

from rollback.database.observation.observe import read_live_schema
from rollback.domain.database.migration_impact import MigrationImpact, combine_impacts
from rollback.domain.database.release_schema import ShippedMigration
from rollback.domain.database.restore_points import RecordedPoint
from rollback.errors import Conflict, ExternalServiceError, InvalidRequest, UnsupportedKind, UnsupportedService
from rollback.leases.holder import find_live_database_lease
from rollback.operations.ports import CheckpointPorts
from rollback.schema.journals import is_applied, list_unfinished, summarize_journals
from rollback.text import recorded_name


@dataclass(frozen=True)
class Checkpoint:
    """A recorded checkpoint.

    Attributes:
        point: the restore point.
        new: migrations that the database has not applied yet; None: the version's migrations are not known.
        journals: the database's migration journals, a line each.
        unfinished: migrations that a tool began and did not finish.
        why_not_examined: reason why ECS was not asked whether the service can be rolled back; empty if it was asked.
    """

    point: RecordedPoint
    new: tuple[ShippedMigration, ...] | None
    journals: tuple[str, ...] = ()
    unfinished: tuple[str, ...] = ()
    why_not_examined: str = ""

    @property
    def impact(self) -> MigrationImpact | None:
        """Combined impact of all new migrations."""
        return None if self.new is None else combine_impacts(migration.impact for migration in self.new)


def checkpoint(
    service_name: str, version: str, shipped: tuple[ShippedMigration, ...] | None, ports: CheckpointPorts
) -> Checkpoint:
    """Record a checkpoint. Several may be recorded: a rollback takes the newest whose schema fits its target.

    Args:
        service_name: name of the service.
        version: the version that is about to be deployed.
        shipped: all migrations in the version's repository; None: not known.
        ports: access to AWS, Neon and the ledger.

    Raises:
        InvalidRequest: the environment has no branch that the service writes to, or no rollback can deploy the service.
        Conflict: a rollback may be changing the branch.
        ExternalServiceError: Neon, Postgres or the ledger do not answer, or refuse; nothing was recorded.
    """
    if not version.strip():
        raise InvalidRequest(
            "the version is empty: give the image's tag, or the value of APP_VERSION; nothing was recorded"
        )
    database, environment = ports.settings.database, ports.settings.environment
    if database is None:
        raise InvalidRequest(
            f"no database is set for {environment}: add `database` to its settings and deploy its rollback stack; "
            "nothing was recorded"
        )
    if database.branch_id is None or not ports.settings.writes_to_observed_branch(service_name):
        reason = (
            f"the environment's branches are those of pull requests, {database.branch_pattern}"
            if database.branch_id is None
            else f"the branch's writers are {', '.join(writer.name for writer in ports.settings.writers())}"
        )
        raise InvalidRequest(
            f"{service_name} writes to no branch of {environment} that has restore points ({reason}); nothing "
            "was recorded"
        )
    why_not_examined = _refuse_unsupported(service_name, ports)
    lease = find_live_database_lease(ports)
    if lease is not None:
        raise Conflict(
            f"{lease.holder} may be changing the database: wait until that rollback has ended; nothing was recorded"
        )
    now = ports.clock.now()
    address = ports.neon.connection_uri(database.branch_id, database.database, database.role)
    head, schema = ports.sql.head(address), read_live_schema(address, ports.sql)
    ports.ledger.put_schema(schema)
    point = RecordedPoint(
        branch=database.branch_key(None),
        service=service_name,
        version=recorded_name(version.strip()),
        at=head.at,
        lsn=head.lsn,
        timeline=head.timeline,
        recorded_at=now,
        by="checkpoint",
        shipped=shipped,
        schema_sha256=schema.sha256,
    )
    ports.ledger.put_restore_point(point)
    new_migrations = None
    if shipped is not None:
        new_migrations = tuple(migration for migration in shipped if not is_applied(migration, schema.journal, shipped))
    journals, unfinished = summarize_journals(schema.journal), list_unfinished(schema.journal)
    return Checkpoint(point, new_migrations, journals, unfinished, why_not_examined)


def _refuse_unsupported(service_name: str, ports: CheckpointPorts) -> str:
    """Refuse a service that no rollback can deploy. A service that its first deployment has yet to create is no fault.

    Returns:
        reason why ECS could not be asked; empty if it answered.

    Raises:
        InvalidRequest: the service is a daemon, or not deployed by ECS's rolling update.
    """
    try:
        ports.services.describe(ports.settings.service(service_name))
    except UnsupportedKind as unsupported:
        raise InvalidRequest(f"{unsupported}; nothing was recorded") from unsupported
    except (ExternalServiceError, UnsupportedService) as failure:
        return str(failure)
    return ""
