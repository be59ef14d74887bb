"""Runs the ECS service scheduler: one thread that ticks every service and reports task counts to CloudWatch."""

from __future__ import annotations

import logging
import threading

from moto.cloudwatch.models import cloudwatch_backends
from moto.ecs.models import ecs_backends

from local_cloud import clock
from local_cloud.ecr import images
from local_cloud.ecs import api as ecs_api
from local_cloud.ecs import cluster_api as ecs_cluster_api
from local_cloud.ecs import scaling as ecs_scaling
from local_cloud.ecs import shared as ecs_shared
from local_cloud.ecs.rollout import Rollout
from local_cloud.ecs.tasks import simulated_time
from local_cloud.elb import load_balancer, target_health

TICK_SECONDS = 1.0  # simulated
METRIC_SECONDS = 10.0  # simulated
_MIN_TICK_REAL_SECONDS = 0.02
_logger = logging.getLogger(__name__)
_over = threading.Event()
_thread: threading.Thread | None = None


def install() -> None:
    """Patch moto's ECS, ECR and target health, and start the scheduler and the load balancers."""
    global _thread  # noqa: PLW0603 (one scheduler per process, as there is one moto)
    if _thread is not None:
        return
    images.install()
    target_health.install()
    ecs_api.install()
    ecs_cluster_api.install()
    ecs_scaling.install()
    load_balancer.install()
    _over.clear()
    _thread = threading.Thread(target=_run, name="ecs scheduler", daemon=True)
    _thread.start()


def stop() -> None:
    """End the scheduler, every task's process and every health check, and forget all services."""
    global _thread  # noqa: PLW0603
    _over.set()
    if _thread is not None:
        _thread.join(timeout=10)
        _thread = None
    with ecs_api.rollouts.lock:
        for rollout in ecs_api.rollouts.all_rollouts():
            rollout.stop_all(at_once=True)
        ecs_api.rollouts.standalone_tasks.stop_all()
        ecs_api.rollouts.current.clear()
        ecs_api.rollouts.retired.clear()
    load_balancer.stop()
    target_health.stop()


def _run() -> None:
    reported = simulated_time()
    while not _over.wait(max(_MIN_TICK_REAL_SECONDS, clock.real_seconds(TICK_SECONDS))):
        report = simulated_time() - reported >= METRIC_SECONDS
        if report:
            reported = simulated_time()
        with ecs_api.rollouts.lock:
            _forget_reset_services()
            try:
                ecs_api.rollouts.standalone_tasks.tick()
            except Exception:  # the last handler of this thread, as below
                _logger.exception("the tick of RunTask's tasks failed")
            for rollout in ecs_api.rollouts.all_rollouts():
                try:
                    rollout.tick()
                    if not rollout.service.desired_count and not any(d.tasks for d in rollout.deployments):
                        ecs_shared.clear(rollout.service.arn)
                    if report and rollout.service.status == "ACTIVE":
                        _report(rollout)
                except Exception:  # the last handler of this thread: logged, and it goes on
                    _logger.exception("the tick of service %s failed", rollout.service.arn)


def _forget_reset_services() -> None:
    """Drop services that a reset of moto removed, and retired ones whose tasks have all stopped."""
    rollouts = ecs_api.rollouts
    for arn, rollout in list(rollouts.current.items()):
        service = rollout.service
        known = ecs_backends[service._account_id][service.region_name].services
        if known.get(f"{service.cluster_name}:{service.name}") is not service:
            rollout.stop_all(at_once=True)
            del rollouts.current[arn]
    rollouts.retired = [r for r in rollouts.retired if any(d.tasks for d in r.deployments)]


def _report(rollout: Rollout) -> None:
    """Container Insights: RunningTaskCount and DesiredTaskCount by cluster and service."""
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
