"""Check that the releases that will run can work with the tables that a database change leads to.

The tables are those of a preview, of a source, of a recreated branch, or of the branch after down-migrations. The
target is judged, and the releases of the other services that write to the branch: those releases stay.
"""

from rollback.check import Check, Verdict
from rollback.database.ports import WriterCheckPorts
from rollback.database.preflight.branch_context import TableCheck
from rollback.domain.database.plan import DatabasePlan
from rollback.domain.database.release_schema import ShippedMigration
from rollback.domain.database.schema_verdict import Compatibility, SchemaVerdict, unknown_verdict
from rollback.domain.releases.release import Release, last_known_good
from rollback.domain.rollback import Rollback
from rollback.domain.settings.database import DatabaseSettings, Strategy
from rollback.domain.settings.environment import ServiceSettings
from rollback.errors import ExternalServiceError, UnsupportedService
from rollback.identity.candidates import list_candidates
from rollback.identity.identify import find_known_release, identify_running
from rollback.ports.holders import HasLedger
from rollback.resources.database.live_schema import LiveSchema
from rollback.resources.database.migration_journal import Migration
from rollback.schema.compatibility import judge_schema
from rollback.schema.compatibility_check import evidence_of
from rollback.schema.verdict_from_ledger import schema_of, shipped_migrations_since, stored_schema


def make_table_check(
    rollback: Rollback, plan: DatabasePlan, settings: DatabaseSettings, ports: WriterCheckPorts
) -> TableCheck:
    """Make the function that judges the resulting tables: one check of the target, one of each other writer."""
    refused_verdicts = _refused_verdicts(rollback, plan, settings)

    def check_tables(schema: LiveSchema, migrations: tuple[Migration, ...] | None) -> tuple[Check, ...]:
        expected = stored_schema(plan.schema_sha256, ports) if plan.schema_sha256 is not None else None
        verdict = judge_schema(expected, schema, migrations, _shipped_migrations(rollback, settings, ports))
        is_refused = verdict.compatibility in refused_verdicts and not rollback.request.force
        is_compatible = verdict.compatibility is Compatibility.COMPATIBLE
        target_check = Check(
            name="target-fits-restored-schema",
            verdict=Verdict.FAIL if is_refused else (Verdict.PASS if is_compatible else Verdict.WARN),
            reason=verdict.bounded.reason,
            evidence=evidence_of(verdict),
            is_forceable=is_refused,
        )
        return (target_check, *_check_other_writers(rollback, schema, migrations, ports))

    return check_tables


def _refused_verdicts(rollback: Rollback, plan: DatabasePlan, settings: DatabaseSettings) -> frozenset[Compatibility]:
    """Verdicts that refuse the restore, unless an operator forces it. An unknown verdict refuses like a breaking one.

    Unknown is allowed in two cases:
    - No schema is recorded ahead of need: each pull request has its own branch.
    - An operator asked for the state of another branch (a reset, an undo). The operator knew that state, and a backup
      keeps the state that it replaces.
    """
    has_recorded_schemas = settings.branch_id is not None
    is_chosen_by_operator = (
        plan.strategy is not Strategy.RESTORE and rollback.escalated_from_type is None and rollback.event is None
    )
    if has_recorded_schemas and not is_chosen_by_operator:
        return frozenset({Compatibility.BREAKING, Compatibility.UNKNOWN})
    return frozenset({Compatibility.BREAKING})


def _shipped_migrations(
    rollback: Rollback, settings: DatabaseSettings, ports: HasLedger
) -> tuple[ShippedMigration, ...]:
    """Migrations that the restored branch may have applied. Without their class, their effect would be unknown."""
    plan = rollback.plan
    target = plan.target if plan is not None else None
    if plan is not None and rollback.is_drill:  # the release that a real rollback would run on the restored data
        releases = list_candidates(rollback.request, rollback.service_name, plan.running, ports)
        target = last_known_good(releases, plan.running.fingerprint)
    if target is None or settings.branch_id is None:
        return ()
    return shipped_migrations_since(target, settings.branch_key(None), ports)


def _check_other_writers(
    rollback: Rollback, schema: LiveSchema, migrations: tuple[Migration, ...] | None, ports: WriterCheckPorts
) -> tuple[Check, ...]:
    """One check for each writer except the rollback's own service, on the resulting tables.

    An unknown release or schema warns only, because those services did not cause the alarm.
    """
    other_writers = (service for service in ports.settings.writers() if service.name != rollback.service_name)
    return tuple(_check_writer(service, rollback, schema, migrations, ports) for service in other_writers)


def _check_writer(
    service: ServiceSettings,
    rollback: Rollback,
    schema: LiveSchema,
    migrations: tuple[Migration, ...] | None,
    ports: WriterCheckPorts,
) -> Check:
    try:
        view = ports.services.describe(service)
        release = find_known_release(service.name, identify_running(view, service, ports), ports)
    except (ExternalServiceError, UnsupportedService) as failure:
        verdict = unknown_verdict(f"its running release could not be identified ({failure})")
        return _to_check(service, None, verdict, force=False)
    if release is None:
        return _to_check(service, None, unknown_verdict("the ledger does not know its running release"), force=False)
    shipped: tuple[ShippedMigration, ...] = ()
    if ports.settings.database is not None:
        branch = ports.settings.database.branch_key(rollback.request.pr)
        shipped = shipped_migrations_since(release, branch, ports)
    verdict = judge_schema(schema_of(release, ports), schema, migrations, shipped)
    return _to_check(service, release, verdict, force=rollback.request.force)


def _to_check(service: ServiceSettings, release: Release | None, verdict: SchemaVerdict, *, force: bool) -> Check:
    verdicts = {Compatibility.COMPATIBLE: Verdict.PASS, Compatibility.BREAKING: Verdict.WARN if force else Verdict.FAIL}
    version = release.version if release is not None else "the running release"
    return Check(
        name=f"writer-{service.name}-fits-restored-schema",
        verdict=verdicts.get(verdict.compatibility, Verdict.WARN),
        reason=f"{version} of {service.name} on these tables: {verdict.reason}",
        is_forceable=True,
    )
