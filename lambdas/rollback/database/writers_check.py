"""The other services that write to the branch stay on their releases: those must work with what is there afterwards."""

from rollback.check import Check, Verdict
from rollback.domain.database.release_schema import ShippedMigration
from rollback.domain.database.schema_finding import Compatibility
from rollback.domain.database.schema_verdict import SchemaVerdict, unknown_verdict
from rollback.domain.releases.release import Release
from rollback.domain.rollback import Rollback
from rollback.domain.settings.environment import ServiceSettings
from rollback.errors import ExternalServiceError, UnsupportedService
from rollback.identity.identify import find_known_release, identify_running
from rollback.ports.world import World
from rollback.resources.database.postgres import LiveSchema, Migration
from rollback.schema.compatibility import judge_schema
from rollback.schema.verdict import schema_of, shipped_migrations_since


def writers_fit(
    rollback: Rollback, schema: LiveSchema, migrations: tuple[Migration, ...] | None, world: World
) -> tuple[Check, ...]:
    """A check for each writer but the rollback's own service, on tables that were looked at.

    What is not known of one warns: those services are not the ones in trouble.
    """
    others = (service for service in world.settings.writers() if service.name != rollback.service_name)
    return tuple(_check_writer(service, rollback, schema, migrations, world) for service in others)


def _check_writer(
    service: ServiceSettings,
    rollback: Rollback,
    schema: LiveSchema,
    migrations: tuple[Migration, ...] | None,
    world: World,
) -> Check:
    try:
        view = world.services.describe(service)
        release = find_known_release(service.name, identify_running(view, service, world), world)
    except (ExternalServiceError, UnsupportedService) as failure:
        return _check(service, None, unknown_verdict(f"what it runs could not be looked at ({failure})"), force=False)
    if release is None:
        return _check(service, None, unknown_verdict("what it runs is not known"), force=False)
    known: tuple[ShippedMigration, ...] = ()
    if world.settings.database is not None:
        branch = world.settings.database.lease_of(rollback.request.pr)
        known = shipped_migrations_since(release, branch, world)
    verdict = judge_schema(schema_of(release, world), schema, migrations, known)
    return _check(service, release, verdict, force=rollback.request.force)


def _check(service: ServiceSettings, release: Release | None, verdict: SchemaVerdict, *, force: bool) -> Check:
    grades = {Compatibility.COMPATIBLE: Verdict.PASS, Compatibility.BREAKING: Verdict.WARN if force else Verdict.FAIL}
    version = release.version if release is not None else "what runs"
    return Check(
        name=f"writer-fits {service.name}",
        verdict=grades.get(verdict.compatibility, Verdict.WARN),
        reason=f"{version} of {service.name} on these tables: {verdict.reason}",
        forceable=True,
    )
