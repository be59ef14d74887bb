"""Whether a release can work with the schema that is live, told from the ledger: neither Neon nor SQL is asked."""

from datetime import datetime

from rollback.model.release import Release
from rollback.model.release_schema import ReleaseSchema, ShippedMigration
from rollback.model.restore_points import RecordedPoint
from rollback.model.schema_compatibility import SchemaVerdict, judge_schema, not_known
from rollback.model.schema_finding import Compatibility
from rollback.steps.ports import World


def schema_verdict(target: Release, world: World, since: datetime | None = None) -> SchemaVerdict | None:
    """The verdict on a rollback of the service alone; None: it does not write to a database that we know.

    Args:
        since: when the schema may have been changed last: an older look tells nothing. The running release's first
            deployment: its migrations ran before.
    """
    database = world.settings.database
    if database is None or database.branch_id is None:
        return None
    if target.service not in {service.name for service in world.settings.writers()}:
        return None
    branch = database.lease_of(None)
    seen = world.ledger.observation(branch)
    if seen is None:
        return not_known("the database has not been looked at yet")
    if since is not None and seen.observed_at < since:
        return not_known(f"the database was last looked at on {seen.observed_at:%Y-%m-%d %H:%M} UTC, before {since}")
    live = world.ledger.schema(seen.schema_sha256)
    if live.ran_on is None:
        return not_known("the last look at the database did not see its tables")
    known = tuple(one for point in world.ledger.restore_points(branch) for one in point.shipped or ())
    return judge_schema(schema_of(target, world), live.ran_on, live.journal, known)


def fits_at(release: Release, point: RecordedPoint, world: World) -> bool:
    """Whether a release is known to work with the tables that were there at a restore point."""
    return verdict_at(release, point, world).compatibility is Compatibility.COMPATIBLE


def verdict_at(release: Release, point: RecordedPoint, world: World) -> SchemaVerdict:
    """The verdict on a release that runs on the tables that were there at a restore point."""
    there = world.ledger.schema(point.schema_sha256) if point.schema_sha256 is not None else ReleaseSchema()
    if there.ran_on is None:
        return not_known("the tables at the restore point were not recorded")
    known = tuple(one for recorded in world.ledger.restore_points(point.branch) for one in recorded.shipped or ())
    return judge_schema(schema_of(release, world), there.ran_on, there.journal, known)


def schema_of(release: Release, world: World) -> ReleaseSchema | None:
    """What a release worked with; None: it was never recorded."""
    return world.ledger.schema(release.schema_sha256) if release.schema_sha256 is not None else None


def shipped_by(release: Release, world: World) -> tuple[ShippedMigration, ...]:
    """The migrations of a release, as its pipeline read them; none if it did not tell."""
    database = world.settings.database
    if database is None or database.branch_id is None:
        return ()
    points = world.ledger.restore_points(database.lease_of(None))
    told = [p.shipped for p in points if (p.service, p.version) == (release.service, release.version) and p.shipped]
    return told[0] if told else ()
