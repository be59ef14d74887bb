"""Record the schema that a release works with, from an observation that was made while the release ran."""

from rollback.database.observation.ports import SchemaRecordPorts
from rollback.domain.database.release_schema import ReleaseSchema
from rollback.domain.database.restore_points import find_start_point
from rollback.domain.releases.release import Release
from rollback.errors import Conflict
from rollback.identity.identify import identify_running
from rollback.schema.verdict_from_ledger import restore_points_about, stored_schema

_TRIES = 3


def record_schema(release: Release, world: SchemaRecordPorts) -> Release:
    """Record the schema of a release, unless the release has one or no observation fits yet.

    Only call this for a good release: its schema is the one that a rollback to the release will require.

    Raises:
        ExternalServiceError: ECS or the ledger did not answer, or the schema is too large for the ledger.
    """
    if release.schema_sha256 is not None:
        return release
    schema = _schema_seen_with(release, world)
    if schema is None:
        return release
    world.ledger.put_schema(schema)
    for _ in range(_TRIES):
        try:
            return world.ledger.set_release_schema(release, schema.sha256)
        except Conflict:  # another writer changed its state, or recorded the schema
            release = world.ledger.release(release.service, release.fingerprint) or release
            if release.schema_sha256 is not None:
                return release
    return release


def _schema_seen_with(release: Release, world: SchemaRecordPorts) -> ReleaseSchema | None:
    """The observed schema, if the observation is younger than the running deployment: before, another release ran."""
    database = world.settings.database
    if database is None or not world.settings.writes_to_standing_branch(release.service):
        return None
    branch = database.lease_of(None)
    seen = world.ledger.observation(branch)
    if seen is None:
        return None
    service = world.settings.service(release.service)
    view = world.services.describe(service)
    runs = identify_running(view, service, world).is_release(release)
    if not runs or seen.observed_at < view.primary.created_at:
        return None
    live = stored_schema(seen.schema_sha256, world)
    began = find_start_point(release, restore_points_about(release, branch, world))
    shipped = began.shipped if began is not None else None
    return live.model_copy(update={"shipped": shipped})
