"""The ECS service scheduler: one thread that ticks every service and reports task counts to CloudWatch."""

from __future__ import annotations

import logging
import threading

from moto.cloudwatch.models import cloudwatch_backends
from moto.ecs.models import ecs_backends

from local_cloud import clock
from local_cloud.ecs import scaling, service_api, shared, task_api
from local_cloud.ecs.rollout import Rollout
from local_cloud.ecs.rollouts import rollouts
from local_cloud.ecs.tasks import simulated_time
from local_cloud.elb import load_balancer, target_health
from local_cloud.moto_fixes import ecr_images
from local_cloud.moto_fixes.ecs import cluster_settings, scalable_targets, task_definitions

TICK_SECONDS = 1.0  # simulated
METRIC_SECONDS = 10.0  # simulated
_MIN_TICK_REAL_SECONDS = 0.02
_logger = logging.getLogger(__name__)
_stopping = threading.Event()
_thread: threading.Thread | None = None


def install() -> None:
    """Put the simulation in place of moto's ECS, and start the scheduler and the load balancers."""
    global _thread  # noqa: PLW0603 (one scheduler per process, as there is one moto)
    if _thread is not None:
        return
    for fix in (ecr_images, cluster_settings, task_definitions, scalable_targets):
        fix.install()
    for part in (target_health, service_api, task_api, scaling, load_balancer):
        part.install()
    _stopping.clear()
    _thread = threading.Thread(target=_run, name="ecs scheduler", daemon=True)
    _thread.start()


def stop() -> None:
    """End the scheduler, every task's process and every health check, and forget all services."""
    global _thread  # noqa: PLW0603
    _stopping.set()
    if _thread is not None:
        _thread.join(timeout=10)
        _thread = None
    with rollouts.lock:
        for rollout in rollouts.all_rollouts():
            rollout.stop_all(at_once=True)
        rollouts.standalone_tasks.stop_all()
        rollouts.current.clear()
        rollouts.retired.clear()
    load_balancer.stop()
    target_health.stop()


def _run() -> None:
    reported = simulated_time()
    while not _stopping.wait(max(_MIN_TICK_REAL_SECONDS, clock.real_seconds(TICK_SECONDS))):
        is_due = simulated_time() - reported >= METRIC_SECONDS
        if is_due:
            reported = simulated_time()
        with rollouts.lock:
            _forget_reset_services()
            try:
                rollouts.standalone_tasks.tick()
            except Exception:  # the last handler of this thread, as for services below
                _logger.exception("the tick of RunTask's tasks failed")
            for rollout in rollouts.all_rollouts():
                try:
                    rollout.tick()
                    if not rollout.service.desired_count and not any(d.tasks for d in rollout.deployments):
                        shared.clear(rollout.service.arn)
                    if is_due and rollout.service.status == "ACTIVE":
                        _report(rollout)
                except Exception:  # the last handler of this thread: the next tick must come
                    _logger.exception("the tick of service %s failed", rollout.service.arn)


def _forget_reset_services() -> None:
    """Forget services that a reset of moto removed, and retired ones whose tasks have all stopped."""
    for arn, rollout in list(rollouts.current.items()):
        service = rollout.service
        services_by_name = ecs_backends[service._account_id][service.region_name].services
        if services_by_name.get(f"{service.cluster_name}:{service.name}") is not service:
            rollout.stop_all(at_once=True)
            del rollouts.current[arn]
    rollouts.retired = [r for r in rollouts.retired if any(d.tasks for d in r.deployments)]


def _report(rollout: Rollout) -> None:
    """Put Container Insights' RunningTaskCount and DesiredTaskCount, by cluster and service."""
    service = rollout.service
    dimensions = [
        {"Name": "ClusterName", "Value": service.cluster_name},
        {"Name": "ServiceName", "Value": service.name},
    ]
    cloudwatch_backends[service._account_id][service.region_name].put_metric_data(
        "ECS/ContainerInsights",
        [
            {"MetricName": name, "Dimensions": dimensions, "Value": value, "Unit": "Count"}
            for name, value in (
                ("RunningTaskCount", float(service.running_count)),
                ("DesiredTaskCount", float(service.desired_count)),
            )
        ],
    )
