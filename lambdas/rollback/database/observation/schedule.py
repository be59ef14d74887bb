"""Decide when to observe the database: when a deployment begins or completes, and on a schedule.

Each observation wakes a sleeping compute, which costs money. So without a deployment or a rollback, one observation in
`observe_minutes` is enough.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from rollback.database.observation.observe import observe, read_live_schema
from rollback.database.observation.ports import DeploymentObservationPorts, ObservationPorts, SchemaRecordPorts
from rollback.database.observation.probe import is_probe_due, probe_database
from rollback.domain.database.branch_observation import Observation
from rollback.domain.database.restore_points import SAME_DEPLOYMENT, RecordedPoint
from rollback.domain.event import find_service_of_event, parse_deployment_event
from rollback.domain.settings.database import DatabaseSettings
from rollback.errors import InvalidRequest
from rollback.identity.identify import find_or_build_release, is_registered_by_rollback
from rollback.leases.holder import find_live_database_lease, find_live_lease
from rollback.names import family_of
from rollback.ports.holders import HasLedger
from rollback.resources.aws.ecs_service import Deployment, ServiceView
from rollback.schema.verdict_from_ledger import find_awaited_migrations, stored_schema

_BEGAN, _COMPLETED = "SERVICE_DEPLOYMENT_IN_PROGRESS", "SERVICE_DEPLOYMENT_COMPLETED"
_MAX_ROLLBACK = timedelta(days=1)  # from its admission to its end; its state machine ends sooner


def observe_on_deployment(event: Mapping[str, Any], ports: DeploymentObservationPorts) -> list[str]:
    """Observe the database when a deployment begins or completes; when one begins, first record a restore point.

    Raises:
        InvalidRequest: the event is of another kind, or about a service that is not ours.
        ExternalServiceError: Neon or Postgres did not answer. Call again: a late restore point is better than none.
    """
    service_name, (event_name, deployment_id) = (
        find_service_of_event(event, ports.settings, ports.account_and_region),
        parse_deployment_event(event),
    )
    if event_name not in (_BEGAN, _COMPLETED):
        raise InvalidRequest(f"{event_name} is not for this function; nothing was changed")
    database = ports.settings.database
    if database is None or database.branch_id is None or not ports.settings.writes_to_observed_branch(service_name):
        return [f"{service_name} writes to no branch that is observed ahead of need"]
    results: list[str] = []
    if event_name == _BEGAN:
        results.append(_record_point(service_name, deployment_id, database, database.branch_id, ports))
    if find_live_database_lease(ports) is None:
        probe_database(ports)
    return [*results, _describe_observation(observe(ports))]


def observe_if_due(ports: ObservationPorts) -> list[str]:
    """Observe the database if an observation is due.

    Raises:
        ExternalServiceError: Neon, Postgres, ECS or the ledger do not answer.
    """
    database = ports.settings.database
    if database is None or database.branch_id is None:
        return ["no branch is observed ahead of need"]
    if find_live_database_lease(ports) is None:  # otherwise a rollback may be changing the branch
        observation = ports.ledger.observation(database.branch_key(None))
        interval = timedelta(minutes=database.observe_minutes)
        is_recent = observation is not None and ports.clock.now() - observation.observed_at < interval
        if (
            observation is not None
            and is_recent
            and not (_has_changed_since(observation, ports) or _has_awaited_migrations(observation, ports))
        ):
            if is_probe_due(database, ports):
                probe_database(ports)
            return [f"observed on {observation.observed_at:%Y-%m-%d %H:%M} UTC: not due"]
        probe_database(ports)
    return [_describe_observation(observe(ports))]


def _record_point(
    service_name: str, deployment_id: str | None, database: DatabaseSettings, branch_id: str, ports: ObservationPorts
) -> str:
    """Record one restore point for a deployment, however often its event arrives.

    Deployments by a rollback, and those of a release that ran before, get none: their release began earlier, with other
    data.
    """
    branch, service = database.branch_key(None), ports.settings.service(service_name)
    if find_live_lease(service_name, ports) is not None or find_live_lease(branch, ports) is not None:
        return "a rollback is in progress: its deployments are not releases"
    view = ports.services.describe(service)
    deployment = _find_deployment(deployment_id, view)
    if deployment is None:
        return f"{deployment_id} is over already: another deployment replaced it"
    family = family_of(deployment.definition_arn)
    if is_registered_by_rollback(deployment.definition_arn, ports):
        return f"{family} was registered by a rollback"
    began_at = deployment.created_at
    release = find_or_build_release(deployment.deployed, view, service, ports)
    if release.first_deployed_at < began_at - SAME_DEPLOYMENT:
        return f"{release.version} ran before, since {release.first_deployed_at:%Y-%m-%d %H:%M} UTC"
    for point in ports.ledger.restore_points(branch):
        if (point.service, point.version, point.recorded_at) == (service_name, release.version, began_at):
            return f"the restore point before {release.version} is recorded already"
    address = ports.neon.connection_uri(branch_id, database.database, database.role)
    head, schema = ports.sql.head(address), read_live_schema(address, ports.sql)
    ports.ledger.put_schema(schema)
    ports.ledger.put_restore_point(
        RecordedPoint(
            branch=branch,
            service=service_name,
            version=release.version,
            at=head.at,
            lsn=head.lsn,
            timeline=head.timeline,
            recorded_at=began_at,
            by="deployment",
            schema_sha256=schema.sha256,
        )
    )
    return f"restore point before {release.version}: {head.lsn}, {head.at:%Y-%m-%d %H:%M:%S} UTC"


def _find_deployment(deployment_id: str | None, view: ServiceView) -> Deployment | None:
    """The deployment that the event names; PRIMARY if it names none. None: ECS no longer lists that deployment."""
    if deployment_id is None:
        return view.primary
    return next((deployment for deployment in view.deployments if deployment.id == deployment_id), None)


def _has_awaited_migrations(observation: Observation, ports: HasLedger) -> bool:
    """Whether a pipeline may have migrated since the observation, which makes the verdicts unknown until the next."""
    journal = stored_schema(observation.schema_sha256, ports).journal
    return bool(find_awaited_migrations(observation.branch, journal, observation.observed_at, ports))


def _has_changed_since(observation: Observation, ports: SchemaRecordPorts) -> bool:
    """Whether, since the observation, a deployment began or a rollback changed the data without a deployment."""
    for service in ports.settings.writers():
        primary = ports.services.describe(service).primary
        if primary.created_at > observation.observed_at or primary.rollout_state == "IN_PROGRESS":
            return True
        for change in ports.ledger.changes(service.name, observation.observed_at - _MAX_ROLLBACK).items:
            concluded_at = change.concluded_at
            if change.has_changed_data and concluded_at is not None and concluded_at > observation.observed_at:
                return True
    return False


def _describe_observation(observation: Observation | None) -> str:
    if observation is None:
        return "not observed: a rollback is in progress"
    return f"observed the database at {observation.observed_at:%H:%M:%S} UTC"
