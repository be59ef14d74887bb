"""Judge from the ledger alone whether a release can work with the live schema, without Neon or SQL."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from rollback.domain.database.migration_impact import Impact
from rollback.domain.database.release_schema import ReleaseSchema, ShippedMigration
from rollback.domain.database.restore_points import RecordedPoint
from rollback.domain.database.schema_verdict import Compatibility, SchemaVerdict, unknown_verdict
from rollback.domain.releases.release import Release
from rollback.ports.holders import HasLedger
from rollback.resources.database.migration_journal import Migration, MigrationTool
from rollback.schema.compatibility import judge_schema
from rollback.schema.journals import is_applied
from rollback.schema.ports import SchemaVerdictPorts

_PIPELINE_MIGRATES_WITHIN = timedelta(minutes=10)  # after its checkpoint; later it has failed, or has no migrations
_CHECKPOINT_BEFORE = timedelta(days=7)  # longest time from a checkpoint to the deployment of its release


def schema_verdict(target: Release, ports: SchemaVerdictPorts, running: Release) -> SchemaVerdict | None:
    """Judge a rollback of the service alone; None: the service does not write to the environment's branch.

    An observation from before the running release's first deployment proves nothing. The running release may also
    have applied migrations since the observation, as containers do that migrate when they start.

    Args:
        target: the release to go back to.
        ports: access to the ledger, and the settings.
        running: the release that the service runs.
    """
    database = ports.settings.database
    if database is None or not ports.settings.writes_to_observed_branch(target.service):
        return None
    branch = database.branch_key(None)
    observation = ports.ledger.observation(branch)
    if observation is None:
        return unknown_verdict("the database has not been observed yet")
    if observation.observed_at < running.first_deployed_at:
        when = f"{observation.observed_at:%Y-%m-%d %H:%M} UTC, before {running.version} was deployed"
        return unknown_verdict(f"the database was last observed on {when}")
    live = stored_schema(observation.schema_sha256, ports)
    return verdict_on(target, live, observation.observed_at, branch, ports, running)


def verdict_on(
    target: Release,
    live: ReleaseSchema,
    observed_at: datetime,
    branch: str,
    ports: SchemaVerdictPorts,
    running: Release,
) -> SchemaVerdict:
    """Judge a rollback of the service alone on a schema that was observed at a time.

    Args:
        target: the release to go back to.
        live: the schema as observed.
        observed_at: the time of the observation.
        branch: the branch's partition in the ledger.
        ports: access to the ledger, and the settings.
        running: the release that the service runs.
    """
    if live.recorded_schema is None:
        return unknown_verdict("the last observation of the database did not read its tables")
    if live.journal is None and not live.has_searched_all_journals:
        return unknown_verdict("the last observation of the database searched for the journal of Drizzle only")
    verdict = judge_schema(
        schema_of(target, ports), live.recorded_schema, live.journal, shipped_migrations_since(target, branch, ports)
    )
    if verdict.compatibility is not Compatibility.COMPATIBLE:
        return verdict
    pending_tags = _unapplied_tags(shipped_migrations_of(running, ports), live.journal)
    if pending_tags:
        return unknown_verdict(
            f"{running.version} may have applied {', '.join(pending_tags)} since the last observation"
        )
    awaited_tags = find_awaited_migrations(branch, live.journal, observed_at, ports, apart_from=target)
    if awaited_tags:
        return unknown_verdict(f"a pipeline may have applied {', '.join(awaited_tags)} since the last observation")
    return verdict


def find_awaited_migrations(
    branch: str,
    journal: tuple[Migration, ...] | None,
    observed_at: datetime,
    ports: HasLedger,
    *,
    apart_from: Release | None = None,
) -> tuple[str, ...]:
    """Tags of migrations, of any service, that do more than add and that a pipeline may have applied since.

    A pipeline records its checkpoint and then migrates. An observation soon after a checkpoint may therefore be from
    before its migrations. A checkpoint without its version's migrations counts if it is newer than the observation.

    Args:
        branch: the branch's partition in the ledger.
        journal: the journal as observed.
        observed_at: the time of the observation.
        ports: access to the ledger, and the settings.
        apart_from: the release to go back to, which works with its own migrations.
    """
    tags: list[str] = []
    for point in ports.ledger.restore_points(branch, since=observed_at - _PIPELINE_MIGRATES_WITHIN):
        is_own = apart_from is not None and (point.service, point.version) == (apart_from.service, apart_from.version)
        if point.by != "checkpoint" or is_own:
            continue
        if point.shipped is not None:
            tags += _unapplied_tags(point.shipped, journal)
        elif point.recorded_at > observed_at:
            tags.append(f"the migrations of {point.version}, which its checkpoint does not list")
    return tuple(dict.fromkeys(tags))


def _unapplied_tags(shipped: tuple[ShippedMigration, ...], journal: tuple[Migration, ...] | None) -> tuple[str, ...]:
    """Tags of the migrations that do more than add and that the journal does not list."""
    return tuple(
        migration.tag
        for migration in shipped
        if migration.impact.impact not in (Impact.NONE, Impact.ADDITIVE)
        and migration.tool != MigrationTool.SQL  # no journal lists plain files, and the verdict counts them as applied
        and not is_applied(migration, journal, shipped)
    )


def is_compatible_at(release: Release, point: RecordedPoint, ports: HasLedger) -> bool:
    """Whether a release is known to work with the tables of a restore point."""
    return verdict_at(release, point, ports).compatibility is Compatibility.COMPATIBLE


def verdict_at(release: Release, point: RecordedPoint, ports: HasLedger) -> SchemaVerdict:
    """Judge a release on the tables and the journal of a restore point."""
    schema = stored_schema(point.schema_sha256, ports)
    if schema.recorded_schema is None:
        return unknown_verdict("the tables at the restore point were not recorded")
    if schema.journal is None and not schema.has_searched_all_journals:
        return unknown_verdict("at the restore point only the journal of Drizzle was searched for")
    shipped = shipped_migrations_since(release, point.branch, ports)
    return judge_schema(schema_of(release, ports), schema.recorded_schema, schema.journal, shipped)


def schema_of(release: Release, ports: HasLedger) -> ReleaseSchema | None:
    """The schema that a release worked with; None: none was recorded, or the ledger can't read it."""
    if release.schema_sha256 is None:
        return None
    try:
        return ports.ledger.schema(release.schema_sha256)
    except KeyError:
        return None


def stored_schema(sha256: str | None, ports: HasLedger) -> ReleaseSchema:
    """A stored schema; an empty one, which proves nothing, if none was stored or the ledger can't read it."""
    try:
        return ports.ledger.schema(sha256) if sha256 is not None else ReleaseSchema()
    except KeyError:
        return ReleaseSchema()


def restore_points_about(release: Release, branch: str, ports: HasLedger) -> tuple[RecordedPoint, ...]:
    """Restore points that may belong to a release or to later ones, newest first.

    A pipeline records a point before it deploys the release.
    """
    return tuple(ports.ledger.restore_points(branch, since=earliest_point_time(release)))


def earliest_point_time(release: Release) -> datetime:
    """Earliest time at which a restore point of the release may have been recorded."""
    return release.first_deployed_at - _CHECKPOINT_BEFORE


def shipped_migrations_since(release: Release, branch: str, ports: HasLedger) -> tuple[ShippedMigration, ...]:
    """Migrations that pipelines recorded with a release and with later ones.

    Plain files of another service are left out if they were recorded before the release: it ran with them. No journal
    lists which plain files are applied.
    """
    points = restore_points_about(release, branch, ports)
    earlier_points = [p for p in points if p.service != release.service and p.recorded_at < release.first_deployed_at]
    earlier_files = {(m.id, m.hash) for m in _list_shipped(earlier_points) if m.tool == MigrationTool.SQL}
    shipped = _list_shipped(points)
    return tuple(m for m in shipped if m.tool != MigrationTool.SQL or (m.id, m.hash) not in earlier_files)


def _list_shipped(points: Iterable[RecordedPoint]) -> Iterator[ShippedMigration]:
    for point in points:
        yield from point.shipped or ()


def shipped_migrations_of(release: Release, ports: SchemaVerdictPorts) -> tuple[ShippedMigration, ...]:
    """Migrations of a release, as its pipeline read them; empty if the pipeline recorded none."""
    database = ports.settings.database
    if database is None or database.branch_id is None:
        return ()
    points = restore_points_about(release, database.branch_key(None), ports)
    release_points = (p for p in points if (p.service, p.version) == (release.service, release.version))
    return next((point.shipped for point in release_points if point.shipped), ())
