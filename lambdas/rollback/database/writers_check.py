"""Check the other services that write to the branch: their releases stay, and must work with the restored tables."""

from rollback.check import Check, Verdict
from rollback.database.ports import WriterCheckPorts
from rollback.domain.database.release_schema import ShippedMigration
from rollback.domain.database.schema_verdict import Compatibility, SchemaVerdict, unknown_verdict
from rollback.domain.releases.release import Release
from rollback.domain.rollback import Rollback
from rollback.domain.settings.environment import ServiceSettings
from rollback.errors import ExternalServiceError, UnsupportedService
from rollback.identity.identify import find_known_release, identify_running
from rollback.resources.database.live_schema import LiveSchema
from rollback.resources.database.migration_journal import Migration
from rollback.schema.compatibility import judge_schema
from rollback.schema.verdict_from_ledger import schema_of, shipped_migrations_since


def check_other_writers(
    rollback: Rollback, schema: LiveSchema, migrations: tuple[Migration, ...] | None, world: WriterCheckPorts
) -> tuple[Check, ...]:
    """One check for each writer except the rollback's own service, on the tables of the preview.

    An unknown release or schema warns only, because those services did not cause the alarm.
    """
    others = (service for service in world.settings.writers() if service.name != rollback.service_name)
    return tuple(_check_writer(service, rollback, schema, migrations, world) for service in others)


def _check_writer(
    service: ServiceSettings,
    rollback: Rollback,
    schema: LiveSchema,
    migrations: tuple[Migration, ...] | None,
    world: WriterCheckPorts,
) -> Check:
    try:
        view = world.services.describe(service)
        release = find_known_release(service.name, identify_running(view, service, world), world)
    except (ExternalServiceError, UnsupportedService) as failure:
        verdict = unknown_verdict(f"its running release could not be identified ({failure})")
        return _to_check(service, None, verdict, force=False)
    if release is None:
        return _to_check(service, None, unknown_verdict("the ledger does not know its running release"), force=False)
    shipped: tuple[ShippedMigration, ...] = ()
    if world.settings.database is not None:
        branch = world.settings.database.lease_of(rollback.request.pr)
        shipped = shipped_migrations_since(release, branch, world)
    verdict = judge_schema(schema_of(release, world), schema, migrations, shipped)
    return _to_check(service, release, verdict, force=rollback.request.force)


def _to_check(service: ServiceSettings, release: Release | None, verdict: SchemaVerdict, *, force: bool) -> Check:
    verdicts = {Compatibility.COMPATIBLE: Verdict.PASS, Compatibility.BREAKING: Verdict.WARN if force else Verdict.FAIL}
    version = release.version if release is not None else "the running release"
    return Check(
        name=f"writer-fits {service.name}",
        verdict=verdicts.get(verdict.compatibility, Verdict.WARN),
        reason=f"{version} of {service.name} on these tables: {verdict.reason}",
        forceable=True,
    )
