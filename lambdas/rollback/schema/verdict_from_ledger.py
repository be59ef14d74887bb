"""Whether a release can work with the schema that is live, told from the ledger: neither Neon nor SQL is asked."""

from datetime import datetime, timedelta

from rollback.domain.database.migration_impact import Impact
from rollback.domain.database.release_schema import ReleaseSchema, ShippedMigration
from rollback.domain.database.restore_points import RecordedPoint
from rollback.domain.database.schema_verdict import Compatibility, SchemaVerdict, unknown_verdict
from rollback.domain.releases.release import Release
from rollback.ports.world import World
from rollback.resources.database.migration_journal import Migration, MigrationTool
from rollback.schema.compatibility import judge_schema
from rollback.schema.journals import is_applied

_PIPELINE_MIGRATES_WITHIN = timedelta(minutes=10)  # from its checkpoint on; after that it has failed, or will not
_CHECKPOINT_BEFORE = timedelta(days=7)  # from a pipeline's checkpoint to the deployment of its release, at most


def schema_verdict(target: Release, world: World, running: Release) -> SchemaVerdict | None:
    """The verdict on a rollback of the service alone; None: it does not write to a database that we know.

    Args:
        running: a look from before its first deployment tells nothing; and what it ships, and had not applied at the
            last look, it may have applied since, as containers do that migrate when they start.
    """
    database = world.settings.database
    if database is None or database.branch_id is None:
        return None
    if target.service not in {service.name for service in world.settings.writers()}:
        return None
    branch = database.lease_of(None)
    seen = world.ledger.observation(branch)
    if seen is None:
        return unknown_verdict("the database has not been looked at yet")
    if seen.observed_at < running.first_deployed_at:
        looked = f"{seen.observed_at:%Y-%m-%d %H:%M} UTC, before {running.version} came"
        return unknown_verdict(f"the database was last looked at on {looked}")
    return verdict_on(target, stored_schema(seen.schema_sha256, world), seen.observed_at, world, running)


def verdict_on(
    target: Release, live: ReleaseSchema, seen_at: datetime, world: World, running: Release
) -> SchemaVerdict:
    """The verdict on a rollback of the service alone, on a schema that was seen at a time."""
    database = world.settings.database
    assert database is not None  # noqa: S101 - its schema was looked at
    branch = database.lease_of(None)
    if live.recorded_schema is None:
        return unknown_verdict("the last look at the database did not see its tables")
    if live.journal is None and not live.has_searched_all_journals:
        return unknown_verdict("the last look at the database sought the journal of Drizzle only")
    verdict = judge_schema(
        schema_of(target, world), live.recorded_schema, live.journal, shipped_migrations_since(target, branch, world)
    )
    if verdict.compatibility is not Compatibility.COMPATIBLE:
        return verdict
    pending = _unapplied_tags(shipped_migrations_of(running, world), live.journal)
    if pending:
        return unknown_verdict(f"{running.version} may have applied {', '.join(pending)} since the last look")
    awaited = find_awaited_migrations(branch, live.journal, seen_at, world, apart_from=target)
    if awaited:
        return unknown_verdict(f"a pipeline may have applied {', '.join(awaited)} since the last look")
    return verdict


def find_awaited_migrations(
    branch: str,
    journal: tuple[Migration, ...] | None,
    seen_at: datetime,
    world: World,
    *,
    apart_from: Release | None = None,
) -> tuple[str, ...]:
    """Tags of migrations that do more than add, and that a pipeline may have applied since a look; of any service.

    A pipeline makes its checkpoint, and migrates then: a look soon after a checkpoint may be before its migrations.
    A checkpoint that does not tell what its version ships counts if it is newer than the look.

    Args:
        journal: what the look saw.
        apart_from: the release that one goes back to, which works with its own.
    """
    found: list[str] = []
    for point in world.ledger.restore_points(branch, since=seen_at - _PIPELINE_MIGRATES_WITHIN):
        is_own = apart_from is not None and (point.service, point.version) == (apart_from.service, apart_from.version)
        if point.by != "checkpoint" or is_own:
            continue
        if point.shipped is not None:
            found += _unapplied_tags(point.shipped, journal)
        elif point.recorded_at > seen_at:
            found.append(f"the migrations of {point.version}, of which its checkpoint does not tell")
    return tuple(dict.fromkeys(found))


def _unapplied_tags(shipped: tuple[ShippedMigration, ...], journal: tuple[Migration, ...] | None) -> tuple[str, ...]:
    """Tags of the migrations that were not applied, and that do more than add."""
    return tuple(
        one.tag
        for one in shipped
        if one.impact.impact not in (Impact.NONE, Impact.ADDITIVE)
        and one.tool != MigrationTool.SQL  # no journal tells of those, and the verdict counts them as applied
        and not is_applied(one, journal, shipped)
    )


def is_compatible_at(release: Release, point: RecordedPoint, world: World) -> bool:
    """Whether a release is known to work with the tables that were there at a restore point."""
    return verdict_at(release, point, world).compatibility is Compatibility.COMPATIBLE


def verdict_at(release: Release, point: RecordedPoint, world: World) -> SchemaVerdict:
    """The verdict on a release that runs on the tables that were there at a restore point."""
    there = stored_schema(point.schema_sha256, world)
    if there.recorded_schema is None:
        return unknown_verdict("the tables at the restore point were not recorded")
    if there.journal is None and not there.has_searched_all_journals:
        return unknown_verdict("at the restore point the journal of Drizzle was sought only")
    known = shipped_migrations_since(release, point.branch, world)
    return judge_schema(schema_of(release, world), there.recorded_schema, there.journal, known)


def schema_of(release: Release, world: World) -> ReleaseSchema | None:
    """The schema that a release worked with; None: it was never recorded, or can't be read."""
    if release.schema_sha256 is None:
        return None
    try:
        return world.ledger.schema(release.schema_sha256)
    except KeyError:
        return None


def stored_schema(sha256: str | None, world: World) -> ReleaseSchema:
    """A stored schema; an empty one, which proves nothing, where none was stored or it can't be read."""
    try:
        return world.ledger.schema(sha256) if sha256 is not None else ReleaseSchema()
    except KeyError:
        return ReleaseSchema()


def restore_points_about(release: Release, branch: str, world: World) -> tuple[RecordedPoint, ...]:
    """Restore points that may be about a release or those after it, newest first: a pipeline records ahead of them."""
    return tuple(world.ledger.restore_points(branch, since=earliest_point_time(release)))


def earliest_point_time(release: Release) -> datetime:
    """When the first restore point that may be about a release or those after it was recorded, at the earliest."""
    return release.first_deployed_at - _CHECKPOINT_BEFORE


def shipped_migrations_since(release: Release, branch: str, world: World) -> tuple[ShippedMigration, ...]:
    """The migrations that pipelines told of with a release, and with those after it.

    No journal tells which plain files are applied: another service's that came before the release are no news to it.
    """
    points = restore_points_about(release, branch, world)
    others = (p for p in points if p.service != release.service and p.recorded_at < release.first_deployed_at)
    had = {(one.id, one.hash) for p in others for one in p.shipped or () if one.tool == MigrationTool.SQL}
    shipped = (one for point in points for one in point.shipped or ())
    return tuple(one for one in shipped if one.tool != MigrationTool.SQL or (one.id, one.hash) not in had)


def shipped_migrations_of(release: Release, world: World) -> tuple[ShippedMigration, ...]:
    """The migrations of a release, as its pipeline read them; none if it did not tell."""
    database = world.settings.database
    if database is None or database.branch_id is None:
        return ()
    points = restore_points_about(release, database.lease_of(None), world)
    told = (p.shipped for p in points if (p.service, p.version) == (release.service, release.version) and p.shipped)
    return next(told, ())
