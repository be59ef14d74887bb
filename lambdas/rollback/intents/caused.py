"""Deployments that a rollback requests on a service's own release (rule 5: they trigger no rollback of the service).

A reader keeps its release and gets new tasks. If those fail, ECS reports a failed deployment as it does any other. The
previous release would fail too, because only the tasks are new.
"""

from datetime import datetime, timedelta

from rollback.check import Check
from rollback.domain.database.reconnection import CausedDeployment
from rollback.ports.holders import HasLedger
from rollback.resources.aws.ecs_service import ServiceView

CHECK_NAME = "deployment-is-the-teams"
_MAX_CLOCK_SKEW = timedelta(minutes=1)  # between ECS and Lambda


def check_not_caused_by_rollback(
    service_name: str, deployment_id: str | None, view: ServiceView, ports: HasLedger
) -> Check:
    """Check that the team requested a failed deployment, and not a rollback that gave the service new connections.

    Args:
        service_name: the service.
        deployment_id: `ecs-svc/…` as the event names it; None: the event named no deployment and means the newest.
        view: ECS's description of the service.
        ports: access to AWS, Neon and the ledger.
    """
    caused_deployment = ports.ledger.caused_deployment(service_name)
    if caused_deployment is None or not is_caused_by_rollback(caused_deployment, deployment_id, view):
        reason = "no rollback requested this deployment"
        return Check.passed(CHECK_NAME, reason)
    reason = (
        f"{caused_deployment.rollback_id or 'a rollback'} requested this deployment to give {service_name} new tasks. "
        "The release did not change, so the deployment starts no rollback"
    )
    evidence = {
        "rollback": caused_deployment.rollback_id,
        "deployment": caused_deployment.deployment_id or deployment_id or "",
    }
    return Check.failed(CHECK_NAME, reason, evidence=evidence, suppresses=True)


def record_caused_deployment(
    service_name: str,
    view: ServiceView,
    asked_at: datetime,
    ports: HasLedger,
    *,
    rollback_id: str = "",
    replaced_deployment_id: str | None = None,
    deployment_id: str | None = None,
) -> None:
    """Record a deployment before it is requested, and again with its id: ECS may report its failure at any moment."""
    caused_deployment = CausedDeployment(
        service=service_name,
        rollback_id=rollback_id,
        asked_at=asked_at,
        definition_arn=view.primary.definition_arn,
        replaced_deployment_id=replaced_deployment_id or view.primary.id,
        deployment_id=deployment_id,
    )
    ports.ledger.put_caused_deployment(caused_deployment)


def is_caused_by_rollback(caused: CausedDeployment, deployment_id: str | None, view: ServiceView) -> bool:
    """Whether a deployment is the recorded one, by the ids; else by definition and time of the newest deployment."""
    if deployment_id is not None and caused.deployment_id is not None:
        return deployment_id == caused.deployment_id
    if deployment_id is not None and deployment_id == caused.replaced_deployment_id:
        return False
    newest = view.newest
    if newest is None or newest.target_definition_arn != caused.definition_arn:
        return False
    return newest.created_at >= caused.asked_at - _MAX_CLOCK_SKEW
