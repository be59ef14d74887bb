"""ECS operations on services and service deployments, and RunTask, answered by the simulation in place of moto."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from moto.core.responses import ActionResult
from moto.ecs.exceptions import ECSException, InvalidParameterException
from moto.ecs.responses import EC2ContainerServiceResponse as Response

from local_cloud.ecs import refusals
from local_cloud.ecs.deployments import ServiceDeployment, now
from local_cloud.ecs.rollout import Rollout
from local_cloud.ecs.rollouts import rollouts

_STORED_SETTINGS = {
    "capacityProviderStrategy": "capacity_provider_strategy",
    "enableECSManagedTags": "enable_ecs_managed_tags",
    "enableExecuteCommand": "enable_execute_command",
    "placementConstraints": "placement_constraints",
    "placementStrategy": "placement_strategy",
    "availabilityZoneRebalancing": "availability_zone_rebalancing",
    "networkConfiguration": "network_configuration",
    "loadBalancers": "load_balancers",
    "platformVersion": "platform_version",
    "serviceRegistries": "service_registries",
    "propagateTags": "propagate_tags",
    "serviceConnectConfiguration": "service_connect_configuration",
    "volumeConfigurations": "volume_configurations",
}
# A change of these settings starts a deployment; a change of others does not (API reference, UpdateService).
_DEPLOYED_SETTINGS = frozenset(
    {
        "capacityProviderStrategy",
        "networkConfiguration",
        "loadBalancers",
        "platformVersion",
        "serviceRegistries",
        "serviceConnectConfiguration",
        "volumeConfigurations",
    }
)
_stock_create, _stock_delete = Response.create_service, Response.delete_service
_stock_describe_services = Response.describe_services


def install() -> None:
    """Replace moto's operations. Repeated calls change nothing."""
    for operation in (
        create_service,
        update_service,
        delete_service,
        describe_services,
        list_service_deployments,
        describe_service_deployments,
        describe_service_revisions,
        stop_service_deployment,
        run_task,
    ):
        setattr(Response, operation.__name__, operation)


def create_service(response: Any) -> Any:
    """CreateService: keep every property, and start the first deployment."""
    with rollouts.lock:
        backend = response.ecs_backend
        definition = refusals.require_active_definition(backend, response._get_param("taskDefinition"))
        cluster, name = response._get_param("cluster", "default"), response._get_param("serviceName")
        existing = backend.services.get(f"{cluster.split('/')[-1]}:{name}")
        if existing is not None and existing.status == "ACTIVE":
            raise InvalidParameterException("Creation of service was not idempotent.")
        _refuse_mismatch(definition, response, None)
        result = _stock_create(response)
        service = result.result["service"]
        service.task_definition = definition.arn
        service.created_at = now()
        _store_settings(service, response)
        rollout = Rollout(service, response._get_param("deploymentConfiguration"))
        _set_grace(rollout, response)
        rollouts.add(rollout)
        rollout.start_deployment(definition)
        return result


def _store_settings(service: Any, response: Any) -> bool:
    """Store the settings of a request; return whether a changed one needs a new deployment."""
    needs_deployment = False
    for parameter, attribute in _STORED_SETTINGS.items():
        value = response._get_param(parameter)
        if value is not None:
            changed = getattr(service, attribute, None) != value
            needs_deployment = needs_deployment or (parameter in _DEPLOYED_SETTINGS and changed)
            setattr(service, attribute, value)
    if getattr(service, "capacity_provider_strategy", None):
        service.launch_type = None  # ECS takes a launch type or a strategy, never both
    return needs_deployment


def _refuse_mismatch(definition: Any, response: Any, service: Any) -> None:
    """Refuse a definition that does not fit the service as the request would leave it."""
    settings = {}
    for name in ("loadBalancers", "serviceConnectConfiguration", "volumeConfigurations"):
        requested = response._get_param(name)
        settings[name] = requested if requested is not None else getattr(service, _STORED_SETTINGS[name], None)
    refusals.refuse_mismatch(definition, settings)


def _set_grace(rollout: Rollout, response: Any) -> None:
    seconds = response._get_param("healthCheckGracePeriodSeconds")
    if seconds is None and hasattr(rollout.service, "health_check_grace_period_seconds"):
        return
    rollout.grace_seconds = float(seconds or 0)
    if seconds is not None or rollout.service.load_balancers:
        rollout.service.health_check_grace_period_seconds = int(seconds or 0)


def update_service(response: Any) -> Any:
    """UpdateService: start a deployment only if a setting of its tasks changes, or if the request forces one."""
    with rollouts.lock:
        rollout = rollouts.requested(response)
        service = rollout.service
        if service.status != "ACTIVE":
            raise ECSException("ServiceNotActiveException", "Service was not ACTIVE.")
        name = response._get_param("taskDefinition")
        current = rollout.primary.revision.definition
        definition = refusals.require_active_definition(response.ecs_backend, name) if name else current
        _refuse_mismatch(definition, response, service)
        desired = response._get_param("desiredCount")
        if desired is not None:
            rollout.scale(int(desired))
        rollout.configure(response._get_param("deploymentConfiguration") or {})
        needs_deployment = _store_settings(service, response)
        _set_grace(rollout, response)
        if needs_deployment or definition is not current or response._get_param("forceNewDeployment"):
            rollout.start_deployment(definition)
        rollout.publish()
        return ActionResult({"service": service})


def delete_service(response: Any) -> Any:
    """DeleteService: let the tasks drain."""
    with rollouts.lock:
        rollout = rollouts.requested(response)
        result = _stock_delete(response)
        rollout.service.desired_count = 0
        rollout.stop_all()
        return result


def describe_services(response: Any) -> Any:
    """DescribeServices, with the present counts rather than those of the last tick."""
    with rollouts.lock:
        for rollout in rollouts.current.values():
            rollout.publish()
        return _stock_describe_services(response)


def list_service_deployments(response: Any) -> Any:
    """ListServiceDeployments, newest first, by status and creation time."""
    with rollouts.lock:
        statuses = response._get_param("status") or []
        created = response._get_param("createdAt") or {}
        matching = [
            deployment.to_brief_api_shape()
            for deployment in rollouts.requested(response).service_deployments
            if (not statuses or deployment.status in statuses)
            and _is_within(deployment.created_at, created.get("after"), created.get("before"))
        ]
        return ActionResult({"serviceDeployments": matching})  # moto_fixes.pagination cuts it into pages


def _is_within(moment: datetime, after: Any, before: Any) -> bool:
    stamp = moment.timestamp()
    return (after is None or stamp >= _epoch(after)) and (before is None or stamp <= _epoch(before))


def _epoch(value: Any) -> float:
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    return float(value)


def describe_service_deployments(response: Any) -> Any:
    """DescribeServiceDeployments."""
    with rollouts.lock:
        deployments = {d.arn: d for rollout in rollouts.all_rollouts() for d in rollout.service_deployments}
        return _describe_known("serviceDeployments", deployments, response._get_param("serviceDeploymentArns") or [])


def describe_service_revisions(response: Any) -> Any:
    """DescribeServiceRevisions, with the image digests that ECS resolved when the deployment started."""
    with rollouts.lock:
        revisions = {arn: r for rollout in rollouts.all_rollouts() for arn, r in rollout.revisions.items()}
        return _describe_known("serviceRevisions", revisions, response._get_param("serviceRevisionArns") or [])


def _describe_known(member: str, resources: dict[str, Any], arns: list[str]) -> Any:
    described = [resources[arn].to_api_shape() for arn in arns if arn in resources]
    failures = [{"arn": arn, "reason": "MISSING"} for arn in arns if arn not in resources]
    return ActionResult({member: described, "failures": failures})


def stop_service_deployment(response: Any) -> Any:
    """StopServiceDeployment: ROLLBACK returns to the last completed revision, ABORT leaves the tasks as they are."""
    arn, kind = response._get_param("serviceDeploymentArn"), response._get_param("stopType") or "ROLLBACK"
    with rollouts.lock:
        for rollout in rollouts.current.values():
            for deployment in rollout.service_deployments:
                if deployment.arn == arn:
                    _stop(rollout, deployment, kind)
                    return ActionResult({"serviceDeploymentArn": arn})
    raise ECSException("ServiceDeploymentNotFoundException", f"Service deployment {arn} was not found.")


def _stop(rollout: Rollout, deployment: ServiceDeployment, kind: str) -> None:
    if deployment.is_finished:
        message = f"Service deployment is in {deployment.status} state and cannot be stopped."
        raise ECSException("ConflictException", message)
    if kind == "ABORT":
        deployment.enter("STOPPED", "Service deployment stopped by user.")
        deployment.stopped_at = now()
        rollout.primary.rollout_state = "FAILED"
        rollout.primary.reason = "Service deployment stopped by user."
    elif deployment.rollback is None:
        rollout.primary.rollout_state = "FAILED"
        rollout.primary.reason = "Service deployment rollback requested by user."
        rollout.roll_back("Service deployment rollback requested by user.", requested=True)


def run_task(response: Any) -> Any:
    """RunTask: start tasks that belong to no service."""
    with rollouts.lock:
        return rollouts.standalone_tasks.run(response)
