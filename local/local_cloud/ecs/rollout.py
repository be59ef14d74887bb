"""The rollout of one ECS service: its ticks, and how its deployments begin, complete, fail and roll back."""

from __future__ import annotations

import math
import uuid
from datetime import UTC, datetime
from typing import Any

from moto.cloudwatch.models import cloudwatch_backends

from local_cloud import clock
from local_cloud.ecs.deployments import (
    DEFAULT_CONFIGURATION,
    Deployment,
    ServiceDeployment,
    ServiceRevision,
    now,
    revision_summaries,
)
from local_cloud.ecs.refusals import role_problem
from local_cloud.ecs.tasks import Task
from local_cloud.events import rules as event_rules

KEPT_STOPPED_TASKS = 50
_LAUNCH_RETRY_SECONDS = 10.0  # simulated; ECS waits longer after each failure


class Rollout:
    """The deployments and tasks of one service. Callers hold the lock of `rollouts`."""

    def __init__(self, service: Any, configuration: dict[str, Any] | None) -> None:
        self.service = service
        self.configuration = {**DEFAULT_CONFIGURATION, **(configuration or {})}
        self.grace_seconds = 0.0
        self.deployments: list[Deployment] = []
        self.service_deployments: list[ServiceDeployment] = []
        self.revisions: dict[str, ServiceRevision] = {}
        self.stopped_tasks: list[Task] = []
        self.last_completed: ServiceRevision | None = None
        self._ignored_alarms: frozenset[str] = frozenset()
        self._was_steady = False
        self._launch_failed_at = datetime.min.replace(tzinfo=UTC)

    @property
    def primary(self) -> Deployment:
        """The PRIMARY deployment, which the service moves towards."""
        return self.deployments[0]

    @property
    def tasks(self) -> list[Task]:
        """Every task that is still known, including stopped ones."""
        return [task for deployment in self.deployments for task in deployment.tasks] + self.stopped_tasks

    def configure(self, changes: dict[str, Any]) -> None:
        """Change the deployment configuration. Members that `changes` lacks stay, at any depth."""
        self.configuration = _merged(self.configuration, changes)

    def start_deployment(self, definition: Any) -> None:
        """Start a deployment of a task definition. It supersedes a deployment in progress."""
        for earlier in self.service_deployments:
            if not earlier.is_finished:
                earlier.enter("STOPPED", "Superseded by a newer service deployment.")
                earlier.stopped_at = now()
        revision = ServiceRevision(self.service, definition, self._settings())
        self.revisions[revision.arn] = revision
        sources = revision_summaries(self.deployments)
        deployment = self._add_deployment(revision)
        desired = int(self.service.desired_count)
        threshold = max(3, min(200, math.ceil(desired * 0.5)))
        self.service_deployments.insert(
            0, ServiceDeployment(self.service, deployment, sources, dict(self.configuration), threshold)
        )
        self._ignored_alarms = self._firing_alarms()
        self.publish()

    def _settings(self) -> dict[str, Any]:
        service = self.service
        strategy = getattr(service, "capacity_provider_strategy", None)
        settings = {
            "launchType": None if strategy else service.launch_type,
            "capacityProviderStrategy": strategy,
            "platformVersion": service.platform_version or "1.4.0",
            "networkConfiguration": service.network_configuration or None,
            "loadBalancers": service.load_balancers,
        }
        return {key: value for key, value in settings.items() if value is not None}

    def _add_deployment(self, revision: ServiceRevision, *, is_rollback: bool = False) -> Deployment:
        for earlier in self.deployments:
            earlier.status = "ACTIVE"
        deployment = Deployment(revision, int(self.service.desired_count), is_rollback)
        self.deployments.insert(0, deployment)
        self.service.task_definition = revision.definition.arn
        self._was_steady = False
        self._emit("SERVICE_DEPLOYMENT_IN_PROGRESS", deployment)
        return deployment

    def roll_back(self, reason: str, *, requested: bool = False) -> None:
        """End the deployment in progress, and return to the last revision that completed."""
        current = self.service_deployments[0]
        if self.last_completed is None:
            current.enter("ROLLBACK_FAILED", f"{reason} There is no completed service revision to return to.")
            return
        current.enter("ROLLBACK_REQUESTED" if requested else "ROLLBACK_IN_PROGRESS", reason)
        current.rollback = {
            "reason": reason,
            "startedAt": now(),
            "serviceRevisionArn": self.last_completed.arn,
        }
        rollback = current.rollback_deployment = self._add_deployment(self.last_completed, is_rollback=True)
        for earlier in self.deployments[1:]:
            if (
                earlier.revision is rollback.revision
            ):  # the tasks of this revision that still run are kept, which makes this fast
                rollback.tasks += earlier.live
                earlier.tasks = [task for task in earlier.tasks if not task.is_live]
        for task in rollback.tasks:
            task.started_by = rollback.id
        self.add_service_event(f"(service {self.service.name}) rolling back to deployment {self.primary.id}.")
        self.publish()

    def fail(self, reason: str, *, rollback: bool) -> None:
        """Mark the deployment in progress as failed. ECS starts no more of its tasks."""
        failed, current = self.primary, self.service_deployments[0]
        failed.rollout_state, failed.reason = "FAILED", reason
        self.add_service_event(f"(service {self.service.name}) (deployment {failed.id}) deployment failed: {reason}")
        self._emit_deployment_failed(failed)
        if failed.is_rollback:
            current.enter("ROLLBACK_FAILED", reason)
        elif rollback:
            self.roll_back(reason)
        else:
            current.enter("STOPPED", reason)
            current.stopped_at = now()

    def tick(self) -> None:
        """Advance every task, start and stop tasks, and update the state of the deployment."""
        for deployment in list(self.deployments):
            self._advance(deployment)
        self._replace_unhealthy()
        if self.service.status == "ACTIVE":
            self._start_missing()
            self._stop_excess()
        self.deployments = [d for d in self.deployments if d.status == "PRIMARY" or d.tasks]
        if self.service.status == "ACTIVE":
            self._update_rollout_state()
        self.publish()

    def _advance(self, deployment: Deployment) -> None:
        for task in list(deployment.tasks):
            was_live = task.is_live
            task.advance()
            if was_live and not task.is_live:
                self.add_service_event(f"(service {self.service.name}) (task {task.id}) stopped: {task.stopped_reason}")
            if task.failed and not task.is_live:
                self._count_failure(deployment, task)
            if task.status == "STOPPED":
                deployment.tasks.remove(task)
                self.stopped_tasks = [task, *self.stopped_tasks][:KEPT_STOPPED_TASKS]

    @staticmethod
    def _count_failure(deployment: Deployment, task: Task) -> None:
        task.failed = False  # each failure counts once
        if deployment.rollout_state == "IN_PROGRESS":
            deployment.failed_tasks += 1
            deployment.updated_at = now()

    def _replace_unhealthy(self) -> None:
        for deployment in self.deployments:
            for task in deployment.live:
                target = task.unhealthy_target
                if target is not None and task.running_seconds >= self.grace_seconds:
                    task.stop(f"Task failed ELB health checks in (target-group {target.group.arn})", failed=True)
                    self._count_failure(deployment, task)
                    self.add_service_event(
                        f"(service {self.service.name}) (port {target.port}) is unhealthy in "
                        f"(target-group {target.group.arn}) due to (reason {target.description})"
                    )

    def _bounds(self) -> tuple[int, int]:
        """Return the fewest healthy and the most live tasks that the deployment configuration allows."""
        desired = int(self.service.desired_count)
        least = math.ceil(desired * int(self.configuration["minimumHealthyPercent"]) / 100)
        return least, math.floor(desired * int(self.configuration["maximumPercent"]) / 100)

    def _start_missing(self) -> None:
        primary = self.primary
        primary.desired_count = int(self.service.desired_count)
        if primary.rollout_state == "FAILED":
            return
        live = sum(len(deployment.live) for deployment in self.deployments)
        room = max(self._bounds()[1], 1 if self.service.desired_count else 0) - live
        missing_count = max(0, min(primary.desired_count - len(primary.live), room))
        if missing_count and not self._can_launch(primary):
            return
        for _ in range(missing_count):
            revision = primary.revision
            age = (now() - revision.created_at).total_seconds() / clock.real_seconds(1.0)
            primary.tasks.append(Task(self.service, revision.definition, primary.id, dict(revision.images), age))

    def _can_launch(self, primary: Deployment) -> bool:
        """Whether ECS can assume the task's roles; if not, add an event, and a failure for the circuit breaker."""
        problem = role_problem(primary.revision.definition, {}, str(self.service._account_id))
        if problem is None:
            return True
        due = (now() - self._launch_failed_at).total_seconds() >= clock.real_seconds(_LAUNCH_RETRY_SECONDS)
        if due:
            self._launch_failed_at = now()
            if primary.rollout_state == "IN_PROGRESS":
                primary.failed_tasks += 1
                primary.updated_at = now()
            self.add_service_event(f"(service {self.service.name}) failed to launch a task with (error {problem}).")
        return False

    def _stop_excess(self) -> None:
        least, _ = self._bounds()
        reason = f"Scaling activity initiated by (deployment {self.primary.id})"
        if self.primary.rollout_state != "FAILED":
            for deployment in self.deployments[1:]:
                for task in sorted(deployment.live, key=lambda t: t.is_ready):
                    ready = sum(d.ready_count for d in self.deployments)
                    if not task.is_ready or ready - 1 >= least:
                        task.stop(reason)
        for task in self.primary.live[int(self.service.desired_count) :]:
            task.stop(reason)

    def _update_rollout_state(self) -> None:
        primary = self.primary
        is_steady = primary.ready_count == len(primary.live) == int(self.service.desired_count)
        if primary.rollout_state == "IN_PROGRESS":
            current = self.service_deployments[0]
            if current.status == "ROLLBACK_REQUESTED":
                current.enter("ROLLBACK_IN_PROGRESS")
            if self._fail_if_detected(primary, current.threshold):
                return
            if self._is_successful(is_steady=is_steady):
                self._complete()
        is_completed = primary.rollout_state == "COMPLETED"
        if is_steady and is_completed and not self._was_steady:
            self.add_service_event(f"(service {self.service.name}) has reached a steady state.")
        self._was_steady = is_steady and is_completed

    def _fail_if_detected(self, primary: Deployment, threshold: int) -> bool:
        """Fail the deployment if the circuit breaker or a deployment alarm detects a failure; return whether it did."""
        breaker = self.configuration.get("deploymentCircuitBreaker") or {}
        alarms = self.configuration.get("alarms") or {}
        firing = sorted(self._firing_alarms() - self._ignored_alarms)
        if breaker.get("enable") and primary.failed_tasks >= threshold:
            reason = "ECS deployment circuit breaker: tasks failed to start."
            self.fail(reason, rollback=bool(breaker.get("rollback")))
            return True
        if firing and not primary.is_rollback:
            reason = f"Deployment alarm {firing[0]} is in ALARM state."
            self.fail(reason, rollback=bool(alarms.get("rollback")))
            return True
        return False

    def _is_successful(self, *, is_steady: bool) -> bool:
        """Whether the deployment is steady and the only one with live tasks.

        Early success criteria ask for a share of healthy tasks instead, and may leave older tasks to a later cleanup
        (API reference, DeploymentEarlySuccessCriteria).
        """
        criteria = self.configuration.get("earlySuccessCriteria") or {}
        is_alone = not any(deployment.live for deployment in self.deployments[1:])
        if not criteria.get("enable") or self.primary.is_rollback:
            return is_steady and is_alone
        share = float(criteria.get("healthyPercent", 100)) / 100
        has_share = self.primary.ready_count >= math.ceil(int(self.service.desired_count) * share)
        return has_share and (is_alone or criteria.get("sourceServiceRevisionCleanup") == "DEFERRED")

    def _complete(self) -> None:
        primary, current = self.primary, self.service_deployments[0]
        primary.rollout_state, primary.updated_at = "COMPLETED", now()
        primary.reason = f"ECS deployment {primary.id} completed."
        current.enter("ROLLBACK_SUCCESSFUL" if primary.is_rollback else "SUCCESSFUL")
        self.last_completed = primary.revision
        self.add_service_event(f"(service {self.service.name}) (deployment {primary.id}) deployment completed.")
        self._emit("SERVICE_DEPLOYMENT_COMPLETED", primary)

    def _firing_alarms(self) -> frozenset[str]:
        alarms = self.configuration.get("alarms") or {}
        if not alarms.get("enable"):
            return frozenset()
        alarms_by_name = cloudwatch_backends[self.service._account_id][self.service.region_name].alarms
        return frozenset(
            n for n in alarms.get("alarmNames", []) if n in alarms_by_name and alarms_by_name[n].state_value == "ALARM"
        )

    def scale(self, desired_count: int) -> None:
        """Set the desired count without a deployment."""
        self.service.desired_count = desired_count
        self.primary.desired_count = desired_count
        self.publish()

    def add_service_event(self, message: str) -> None:
        """Add a line to the service's events."""
        self.service.events.insert(0, {"id": str(uuid.uuid4()), "createdAt": now(), "message": message})
        del self.service.events[100:]

    def _emit_deployment_failed(self, deployment: Deployment) -> None:
        """Emit a state change if the circuit breaker is on, and always a service action, which names no deployment.

        ECS developer guide, "Service deployment state change events" and "Service action events".
        """
        if (self.configuration.get("deploymentCircuitBreaker") or {}).get("enable"):
            self._emit("SERVICE_DEPLOYMENT_FAILED", deployment)
        service = self.service
        detail = {
            "eventType": "ERROR",
            "eventName": "SERVICE_DEPLOYMENT_FAILED",
            "clusterArn": service.cluster_arn,
            "createdAt": now().strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
            "reason": deployment.reason,
        }
        event_rules.emit(
            service._account_id, service.region_name, "aws.ecs", "ECS Service Action", detail, [service.arn]
        )

    def _emit(self, name: str, deployment: Deployment) -> None:
        detail = {
            "eventType": "ERROR" if name.endswith("FAILED") else "INFO",
            "eventName": name,
            "deploymentId": deployment.id,
            "updatedAt": now().strftime("%Y-%m-%dT%H:%M:%SZ"),
            "reason": deployment.reason,
        }
        service = self.service
        kind = "ECS Deployment State Change"
        event_rules.emit(service._account_id, service.region_name, "aws.ecs", kind, detail, [service.arn])

    def publish(self) -> None:
        """Write the answers of DescribeServices onto moto's service."""
        service = self.service
        service.deployments = [d.to_api_shape() for d in self.deployments if d.status == "PRIMARY" or d.live]
        service.running_count = sum(d.running_count for d in self.deployments)
        service.pending_count = sum(d.pending_count for d in self.deployments)
        service.deployment_configuration = self.configuration
        unfinished = [d for d in self.service_deployments if not d.is_finished]
        service.current_service_deployment = unfinished[0].arn if unfinished else None
        service.current_service_revisions = revision_summaries(self.deployments)

    def stop_all(self, *, at_once: bool = False) -> None:
        """Stop every task: let it drain, or end it at once."""
        for deployment in self.deployments:
            for task in list(deployment.tasks):
                if at_once:
                    task.kill()
                else:
                    task.stop("Service was deleted.")


def _merged(settings: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    merged = dict(settings)
    for name, value in changes.items():
        inner = merged.get(name)
        merged[name] = _merged(inner, value) if isinstance(inner, dict) and isinstance(value, dict) else value
    return merged
