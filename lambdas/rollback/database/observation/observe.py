"""Observe the database ahead of need: its tables, its migration journal, and whether a restore would be possible now.

The ledger keeps the observation, so that a plan asks neither Neon nor Postgres. No observation is made while a rollback
may be changing the branch.
"""

import contextlib

from pydantic import SecretStr

from rollback.check import Check
from rollback.database.observation.ports import DatabaseReadinessPorts, ObservationPorts, SchemaRecordPorts
from rollback.database.observation.readiness import judge_standing_plan
from rollback.database.observation.readiness_rules import CHECK_NAME
from rollback.database.observation.record_schema import record_schema
from rollback.database.preflight.branch_context import BranchContext
from rollback.database.preflight.branch_history import read_branch_history
from rollback.database.preflight.ports import BranchHistoryPorts
from rollback.database.preflight.preflight import preflight_of_reset, preflight_of_restore
from rollback.domain.database.branch_observation import Observation
from rollback.domain.database.branch_settings import BranchSettings
from rollback.domain.database.release_schema import ReleaseSchema
from rollback.domain.database.restore_points import RecordedPoint, choose_restore_point
from rollback.domain.releases.release import Release, ReleaseState, last_known_good
from rollback.domain.settings.database import DatabaseSettings, Strategy
from rollback.domain.settings.environment import ServiceSettings
from rollback.errors import Conflict, ExternalServiceError
from rollback.identity.identify import running_fingerprint
from rollback.leases.holder import find_live_database_lease
from rollback.ports.holders import HasLedger
from rollback.ports.postgres import Sql
from rollback.schema.verdict_from_ledger import earliest_point_time, is_compatible_at, restore_points_about

_MAX_READS = 3


def observe(ports: ObservationPorts) -> Observation | None:
    """Observe the branch, record the observation, and judge the standing plans again.

    Returns:
        None if the environment has no standing branch (each pull request has its own), or if a rollback may be changing
        the branch.

    Raises:
        ExternalServiceError: Neon, Postgres, ECS or the ledger did not answer; call again.
    """
    settings = ports.settings.database
    if settings is None or settings.branch_id is None or find_live_database_lease(ports) is not None:
        return None
    now = ports.clock.now()  # a change during the observation is not part of the observation
    branch_settings = BranchSettings.of(ports.settings, settings.branch_id)
    context = BranchContext(settings=branch_settings, neon=ports.neon, sql=ports.sql)
    address = context.address(settings.branch_id)
    head, schema = ports.sql.head(address), read_live_schema(address, ports.sql)
    running_fingerprints = {service.name: _running_fingerprint(service, ports) for service in branch_settings.writers}
    readiness = tuple(
        check.model_copy(update={"evidence": {**check.evidence, "service": service.name}})
        for service in branch_settings.writers
        for check in _check_restore(service.name, running_fingerprints[service.name], settings, context, ports)
    )
    if find_live_database_lease(ports) is not None:  # a rollback began since: the observed state may be gone
        return None
    ports.ledger.put_schema(schema)
    observation = Observation(
        branch=settings.branch_key(None),
        schema_sha256=schema.sha256,
        readiness=readiness,
        observed_at=now,
        timeline=head.timeline,
        lsn=head.lsn,
    )
    ports.ledger.put_observation(observation)
    for service in branch_settings.writers:
        release = _find_release(service.name, running_fingerprints[service.name], ports)
        if release is not None and release.state is ReleaseState.PROMOTED:
            record_schema(release, ports)  # promoted before the first observation of its schema
        judge_standing_plan(service.name, ports)
    return observation


def observe_after_change(
    context: BranchContext, branch_id: str, ports: DatabaseReadinessPorts, *, settled: bool
) -> None:
    """Replace the observation after a rollback changed the branch: the old one would mislead the next plan.

    If Postgres does not answer, the schema is recorded as unknown until the next observation. An unknown schema blocks
    a rollback that depends on the schema (rule 12).

    Args:
        settled: whether the database's part succeeded. After a failure the schema is recorded as unknown too.
    """
    settings = ports.settings.database
    if settings is None or settings.branch_id is None:
        return
    schema, timeline, now = ReleaseSchema(), None, ports.clock.now()
    if settled:
        with contextlib.suppress(ExternalServiceError):
            address = context.address(branch_id)
            schema, timeline = read_live_schema(address, context.sql), context.sql.head(address).timeline
    ports.ledger.put_schema(schema)
    observation = Observation(
        branch=settings.branch_key(None), schema_sha256=schema.sha256, observed_at=now, timeline=timeline
    )
    ports.ledger.put_observation(observation)
    for service in context.settings.writers:
        with contextlib.suppress(ExternalServiceError, Conflict):  # the next observation judges the standing plan again
            judge_standing_plan(service.name, ports)


def read_live_schema(address: SecretStr, sql: Sql) -> ReleaseSchema:
    """Read the structure of the database and the migration journal that belongs to that structure.

    Raises:
        ExternalServiceError: Postgres did not answer, or migrations are being applied; call again.
    """
    journal = sql.migrations(address)
    for _ in range(_MAX_READS):
        previous_journal, structure = journal, sql.live_schema(address)
        journal = sql.migrations(address)
        if journal == previous_journal:
            return ReleaseSchema(journal=journal, recorded_schema=structure, has_searched_all_journals=True)
    raise ExternalServiceError("migrations are being applied at this moment: read the schema again")


def _running_fingerprint(service: ServiceSettings, ports: SchemaRecordPorts) -> str:
    return running_fingerprint(ports.services.describe(service), service, ports)


def _find_release(service_name: str, fingerprint: str, ports: HasLedger) -> Release | None:
    return ports.ledger.release(service_name, fingerprint)


def _check_restore(
    service_name: str, running: str, settings: DatabaseSettings, context: BranchContext, ports: BranchHistoryPorts
) -> tuple[Check, ...]:
    """Check whether the database could go back from the running release with the strategy of the settings."""
    now = ports.clock.now()
    if settings.strategy in (Strategy.RESET, Strategy.RECREATE) and settings.source_branch_id is not None:
        return preflight_of_reset(settings.source_branch_id, context, now)
    target = last_known_good(ports.ledger.promoted(service_name), running)
    if target is None:
        return (_warn("no other release is promoted yet, so there is no data to restore"),)
    later_releases = tuple(ports.ledger.releases(service_name, since=target.first_deployed_at))
    points = restore_points_about(target, settings.branch_key(None), ports)
    history = read_branch_history(settings.branch_key(None), earliest_point_time(target), ports)

    def fits(point: RecordedPoint) -> bool:
        return is_compatible_at(target, point, ports)

    point, next_release = choose_restore_point(
        target, later_releases, (candidate for candidate in points if history.has(candidate)), fits
    )
    if point is None:
        unreachable_point, _ = choose_restore_point(target, later_releases, points, fits)
        if unreachable_point is not None:
            position = f"the restore point before {unreachable_point.version}, {unreachable_point.at}"
            return (history.failed_check(unreachable_point.at, position),)
        next_version = next_release.version if next_release is not None else "the release after it"
        checkpoint = f"rollback checkpoint {ports.settings.environment} --service {service_name} --version VERSION"
        reason = (
            f"no restore point was recorded before {next_version}: a rollback can't restore the data of "
            f"{target.version}; `{checkpoint}` in the pipeline, before migrations run, records a point for the next "
            "release"
        )
        return (_warn(reason),)
    return preflight_of_restore(point.point, context, now)


def _warn(reason: str) -> Check:
    return Check.warned(CHECK_NAME, reason)
