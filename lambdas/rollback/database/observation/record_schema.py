"""Record the schema that a release works with, from an observation that was made while the release ran."""

from rollback.database.observation.ports import SchemaRecordPorts
from rollback.domain.database.release_schema import ReleaseSchema
from rollback.domain.database.restore_points import find_start_point
from rollback.domain.releases.release import Release
from rollback.errors import Conflict
from rollback.identity.identify import identify_running
from rollback.schema.verdict_from_ledger import restore_points_about, stored_schema

_TRIES = 3


def record_schema(release: Release, ports: SchemaRecordPorts) -> Release:
    """Record the schema of a release, unless the release has one or no observation fits yet.

    Only call this for a good release: its schema is the one that a rollback to the release will require.

    Raises:
        ExternalServiceError: ECS or the ledger did not answer, or the schema is too large for the ledger.
    """
    if release.schema_sha256 is not None:
        return release
    schema = _schema_seen_with(release, ports)
    if schema is None:
        return release
    ports.ledger.put_schema(schema)
    for _ in range(_TRIES):
        try:
            return ports.ledger.set_release_schema(release, schema.sha256)
        except Conflict:  # another writer changed its state, or recorded the schema
            release = ports.ledger.release(release.service, release.fingerprint) or release
            if release.schema_sha256 is not None:
                return release
    return release


def _schema_seen_with(release: Release, ports: SchemaRecordPorts) -> ReleaseSchema | None:
    """The observed schema, if the observation is younger than the running deployment: before, another release ran."""
    database = ports.settings.database
    if database is None or not ports.settings.writes_to_observed_branch(release.service):
        return None
    branch = database.branch_key(None)
    observation = ports.ledger.observation(branch)
    if observation is None:
        return None
    service = ports.settings.service(release.service)
    view = ports.services.describe(service)
    is_running = identify_running(view, service, ports).is_release(release)
    if not is_running or observation.observed_at < view.primary.created_at:
        return None
    live = stored_schema(observation.schema_sha256, ports)
    start_point = find_start_point(release, restore_points_about(release, branch, ports))
    shipped = start_point.shipped if start_point is not None else None
    return live.model_copy(update={"shipped": shipped})
