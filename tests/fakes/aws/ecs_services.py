"""ECS with one service, which takes one step for each tick."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, Protocol

from fakes.aws.alarms import TARGET_GROUP
from fakes.aws.images import FakeImages
from fakes.aws.request_models import accepted, as_parsed, check_request, refuse
from fakes.clock import FakeClock
from fakes.copy import deep_copy

from rollback.adapters.aws.ecs.parse import assign_revisions, require_supported_service
from rollback.check import Verdict
from rollback.domain.settings.environment import ServiceSettings
from rollback.errors import (
    UnsupportedService,
)
from rollback.names import RELEASE_TAG
from rollback.resources.aws.ecs_service import (
    IN_FLIGHT,
    Deployment,
    ServiceDeployment,
    ServiceRevision,
    ServiceView,
)
from rollback.resources.aws.ecs_task import LISTED_MINUTES, ServiceTask
from rollback.resources.aws.service_shape import ServiceShape, check_fits_service


class EcsServices(Protocol):
    """One `FakeServices`, or several behind a `FakeWriters`."""

    def each(self) -> "tuple[FakeServices, ...]": ...


Behaviour = Literal["healthy", "unhealthy", "crashing", "stale"]
ACCOUNT_ARN = "arn:aws:ecs:eu-west-1:123456789012"
CLUSTER, ECS_SERVICE = "macro-ai-production-cluster", "macro-ai-production-service"
_FAMILY = re.compile(r"[a-zA-Z0-9_-]{1,255}")  # ECS API reference, RegisterTaskDefinition
_TAG_VALUE = re.compile(r"[\w\s.:/=+\-@]{0,256}")  # ECS API reference, Tag


@dataclass
class _Revision:
    arn: str
    definition_arn: str
    images: dict[str, str]
    created_at: datetime


@dataclass
class _Tasks:
    """One entry of `deployments`, and its tasks."""

    id: str
    revision: _Revision
    created_at: datetime
    rollout_state: str = "IN_PROGRESS"
    running: int = 0
    failed: int = 0
    is_rollback: bool = False
    pulled: dict[str, str] = field(default_factory=dict)  # container → image by digest, of its running tasks


@dataclass
class _ServiceDeployment:
    arn: str
    target: _Revision
    source: _Revision | None
    created_at: datetime
    status: str = "IN_PROGRESS"
    rollback_revision: _Revision | None = None
    finished_at: datetime | None = None

    def enter(self, status: str, at: datetime) -> None:
        """Enter a status; a final status sets the end time."""
        self.status = status
        self.finished_at = at if status not in IN_FLIGHT else None


class FakeServices:
    """ECS with one service, which takes one step for each `tick`; any other name is refused as ECS refuses it.

    The first tick of a deployment starts its tasks. The next tick drains the old tasks and completes the deployment.
    Deregistered definitions are INACTIVE and refused.

    Attributes:
        behaviours: definition ARN → behaviour of its tasks. `unhealthy` tasks run and never pass health checks.
            `crashing` tasks don't run. `stale` tasks are unhealthy until all tasks were stopped once. Three ticks of
            any of these trip the circuit breaker.
        calls: the requested changes.
        beside: another service of the account, with the same task definitions.
    """

    def __init__(
        self,
        clock: FakeClock | None = None,
        images: "FakeImages | None" = None,
        *,
        cluster: str = CLUSTER,
        ecs_service: str = ECS_SERVICE,
        beside: "FakeServices | None" = None,
    ) -> None:
        self._clock = clock or FakeClock(datetime(2026, 3, 1, 3, tzinfo=UTC))
        self._images = images or FakeImages()
        self.cluster, self.ecs_service = cluster, ecs_service
        self.arn = f"{ACCOUNT_ARN}:service/{cluster}/{ecs_service}"
        self.status = "MISSING"
        self.desired_count = 0
        self.deployment_configuration: dict[str, Any] = {
            "strategy": "ROLLING",
            "maximumPercent": 200,
            "minimumHealthyPercent": 100,
            "deploymentCircuitBreaker": {"enable": True, "rollback": True},
        }
        self.target_groups: tuple[str, ...] = (TARGET_GROUP,)
        self.classic_load_balancers: tuple[str, ...] = ()
        self.behaviours: dict[str, Behaviour] = {}
        self.default_behaviour: Behaviour = "healthy"
        self.draining = 0
        self.container_insights = True
        self.controller, self.scheduling_strategy = "ECS", "REPLICA"
        self.stopped_tasks: list[ServiceTask] = []
        self.shape = ServiceShape()
        self.resolves_images = True  # False: as for versionConsistency disabled, the tasks alone tell
        self.required_tag: str | None = None  # a policy that denies registrations without it
        self.events: list[str] = []
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self._definitions: dict[str, dict[str, Any]] = beside._definitions if beside is not None else {}
        self._deployments: list[_Tasks] = []
        self._service_deployments: list[_ServiceDeployment] = []
        self._completed: _Revision | None = None
        self._was_at_zero = False
        self._created_count = 0

    # Arrangement by a test

    @property
    def is_active(self) -> bool:
        return self.status == "ACTIVE"

    def each(self) -> "tuple[FakeServices, ...]":
        return (self,)

    def is_named_by(self, service: ServiceSettings) -> bool:
        """Whether the settings name this service."""
        return (service.cluster, service.ecs_service) == (self.cluster, self.ecs_service)

    def has_deployment(self, arn: str) -> bool:
        """Whether this service has, or had, a service deployment of this ARN."""
        return any(deployment.arn == arn for deployment in self._service_deployments)

    def run(self, definition_arn: str, *, desired_count: int = 2, created_at: datetime | None = None) -> None:
        """Let the service run this definition, with a completed deployment of `created_at`."""
        self.status, self.desired_count = "ACTIVE", desired_count
        self._begin(self._revision(definition_arn, created_at or self._clock.now()), created_at or self._clock.now())
        self._deployments[0].running = desired_count
        self._complete()

    def deploy(self, definition_arn: str, began_at: datetime | None = None) -> None:
        """Begin a deployment by the team; `tick` continues the deployment."""
        at = began_at or self._clock.now()
        self._begin(self._revision(definition_arn, at), at)

    def deregister(self, definition_arn: str) -> None:
        """Deregister a definition, as CloudFormation does with a replaced revision."""
        self._definitions[definition_arn]["status"] = "INACTIVE"

    def end_task(
        self,
        exit_code: int | None = 1,
        at: datetime | None = None,
        stop_code: str = "EssentialContainerExited",
        reason: str = "Essential container in task exited",
    ) -> None:
        """Let a task of PRIMARY end; ECS starts another task at once, so that the running count stays.

        The exit code is that of its first container.
        """
        primary = self._deployments[0]
        container = self._definitions[primary.revision.definition_arn]["containerDefinitions"][0]["name"]
        task = ServiceTask(
            arn=f"{ACCOUNT_ARN}:task/{self.cluster}/ended-{len(self.stopped_tasks)}",
            definition_arn=primary.revision.definition_arn,
            deployment_id=primary.id,
            is_stopped=True,
            stopped_at=at or self._clock.now(),
            stop_code=stop_code,
            stop_reason=reason,
            exit_codes={container: exit_code} if exit_code is not None else {},
        )
        self.stopped_tasks.append(task)

    def target_states(self) -> list[str]:
        """List the health of the targets of all tasks."""
        states: list[str] = []
        for tasks in self._deployments:
            state = "healthy" if self._behaviour(tasks) == "healthy" else "unhealthy"
            states += [state] * tasks.running
        return sorted(states)

    def tick(self) -> None:
        """Let ECS take one step."""
        if not self._deployments:
            return
        primary, behaviour = self._deployments[0], self._behaviour(self._deployments[0])
        was_running, self.draining = primary.running, 0
        if self.desired_count == 0:  # the running tasks drain until the next tick
            self._was_at_zero = True
            self.draining = sum(tasks.running for tasks in self._deployments)
            for tasks in self._deployments:
                tasks.running = 0
        if primary.rollout_state != "FAILED":
            primary.running = 0 if behaviour == "crashing" else self.desired_count
        current = self._service_deployments[0]
        if current.status == "ROLLBACK_REQUESTED":
            current.status = "ROLLBACK_IN_PROGRESS"
        if primary.rollout_state != "IN_PROGRESS":
            return
        if behaviour == "crashing":
            self.end_task()
        if behaviour != "healthy":
            primary.failed += 1
            self.events.insert(0, f"(service) (deployment {primary.id}) a task is {behaviour}")
            self._trip_breaker(primary)
        elif was_running >= self.desired_count:
            self._complete()

    # The port

    def describe(self, service: ServiceSettings) -> ServiceView:
        name = f"{service.cluster}/{service.ecs_service}"
        if service.cluster != self.cluster:
            raise UnsupportedService(f"there is no cluster {service.cluster}; check the settings")
        found = {
            "status": self.status,
            "deploymentConfiguration": self.deployment_configuration,
            "deploymentController": {"type": self.controller},
            "schedulingStrategy": self.scheduling_strategy,
        }
        is_active = self.is_named_by(service) and self.status != "MISSING"
        require_supported_service({"services": [found] if is_active else [], "failures": [{"reason": "MISSING"}]}, name)
        newest = self._service_deployments[0]
        revisions = [r for r in (newest.target, newest.source, newest.rollback_revision) if r is not None]
        revisions += [tasks.revision for tasks in self._deployments]
        by_arn = {revision.arn: revision for revision in revisions}
        source = newest.rollback_revision or newest.source
        current: dict[str, int] = {}
        for tasks in self._deployments:
            current[tasks.revision.arn] = current.get(tasks.revision.arn, 0) + tasks.running
        latest = ServiceDeployment(
            arn=newest.arn,
            status=newest.status,
            target_definition_arn=newest.target.definition_arn,
            target_revision_arn=newest.target.arn,
            source_definition_arn=source.definition_arn if source is not None else None,
            source_revision_arn=source.arn if source is not None else None,
            rollback_revision_arn=newest.rollback_revision.arn if newest.rollback_revision is not None else None,
            created_at=newest.created_at,
            finished_at=newest.finished_at,
        )
        deployments = [
            Deployment(
                id=tasks.id,
                is_primary=tasks is self._deployments[0],
                definition_arn=tasks.revision.definition_arn,
                rollout_state=tasks.rollout_state,
                running_count=tasks.running,
                created_at=tasks.created_at,
            )
            for tasks in self._deployments
        ]
        definitions = {arn: revision.definition_arn for arn, revision in by_arn.items()}
        return ServiceView(
            arn=self.arn,
            desired_count=self.desired_count,
            running_count=sum(tasks.running for tasks in self._deployments),
            pending_count=max(0, self.desired_count - self._deployments[0].running),
            deployments=assign_revisions(deployments, latest, current, definitions),
            newest=latest,
            deployment_configuration=as_parsed(
                "ecs", "DeploymentConfiguration", deep_copy(self.deployment_configuration)
            ),
            target_groups=self.target_groups,
            classic_load_balancers=self.classic_load_balancers,
            shape=self.shape,
            revisions={
                arn: ServiceRevision(definition_arn=revision.definition_arn, images=dict(revision.images))
                for arn, revision in by_arn.items()
            },
            current_revisions=current,
            last_events=tuple(self.events[:10]),
        )

    def definition(self, arn_or_family: str) -> Mapping[str, Any] | None:
        if arn_or_family in self._definitions:
            return deep_copy(self._definitions[arn_or_family])
        family = [d for d in self._definitions.values() if d["family"] == arn_or_family and d["status"] == "ACTIVE"]
        return deep_copy(max(family, key=lambda d: int(d["revision"]), default=None))

    def register(
        self, definition: Mapping[str, Any], family: str, release: str, tags: Mapping[str, str] | None = None
    ) -> str:
        given = {**(tags or {}), RELEASE_TAG: release}
        return self._register(definition, family, [{"key": key, "value": value} for key, value in given.items()])

    def register_release(
        self, definition: Mapping[str, Any], family: str, tags: Mapping[str, str] | None = None
    ) -> str:
        """Register a definition as the team does, without a tag of ours."""
        return self._register(definition, family, [{"key": k, "value": v} for k, v in (tags or {}).items()])

    def _register(self, definition: Mapping[str, Any], family: str, tags: list[dict[str, str]]) -> str:
        self.calls.append(("register", {"family": family}))
        names = accepted("ecs", "RegisterTaskDefinition") - {"family", "tags"}
        complete = deep_copy(dict(definition))
        given = {name: value for name, value in complete.items() if name in names}
        check_request("ecs", "RegisterTaskDefinition", family, family=family, tags=tags, **given)
        if self.required_tag is not None and all(tag["key"] != self.required_tag for tag in tags):
            why = f"an explicit deny: no tag {self.required_tag}"
            refuse("RegisterTaskDefinition", family, "AccessDeniedException", why)
        for code, why in _registration_refusals(given["containerDefinitions"], family, tags):
            refuse("RegisterTaskDefinition", family, code, why)
        revision = 1 + sum(1 for d in self._definitions.values() if d["family"] == family)
        arn = f"{ACCOUNT_ARN}:task-definition/{family}:{revision}"
        added = {"taskDefinitionArn": arn, "family": family, "revision": revision, "status": "ACTIVE", "tags": tags}
        self._definitions[arn] = {**complete, **added, "registeredAt": self._clock.now()}
        return arn

    def update(
        self,
        service: ServiceSettings,
        *,
        definition_arn: str | None = None,
        desired_count: int | None = None,
        deployment_configuration: Mapping[str, Any] | None = None,
        force_new_deployment: bool = False,
    ) -> None:
        given = {
            "definition_arn": definition_arn,
            "desired_count": desired_count,
            "deployment_configuration": deployment_configuration,
            "force_new_deployment": force_new_deployment or None,
        }
        self.calls.append(("update", {name: value for name, value in given.items() if value is not None}))
        self._require_named_service("UpdateService", service)
        self._validate_update(service, definition_arn, desired_count, deployment_configuration)
        if desired_count is not None:
            self.desired_count = desired_count
        self.deployment_configuration = _merged(self.deployment_configuration, deployment_configuration or {})
        primary = self._deployments[0].revision.definition_arn
        if force_new_deployment or definition_arn not in (None, primary):
            self._begin(self._revision(definition_arn or primary, self._clock.now()), self._clock.now())

    def _require_named_service(self, operation: str, service: ServiceSettings) -> None:
        name = f"{service.cluster}/{service.ecs_service}"
        if service.cluster != self.cluster:
            refuse(operation, name, "ClusterNotFoundException", "Cluster not found.")
        if not self.is_named_by(service) or self.status == "MISSING":
            refuse(operation, name, "ServiceNotFoundException", "Service not found.")

    def _validate_update(
        self,
        service: ServiceSettings,
        definition_arn: str | None,
        desired_count: int | None,
        configuration: Mapping[str, Any] | None,
    ) -> None:
        on = f"{service.cluster}/{service.ecs_service}"
        changes: dict[str, Any] = {"taskDefinition": definition_arn, "desiredCount": desired_count}
        changes["deploymentConfiguration"] = dict(configuration) if configuration is not None else None
        given = {name: value for name, value in changes.items() if value is not None}
        check_request("ecs", "UpdateService", on, service=service.ecs_service, **given)
        if self.status != "ACTIVE":
            refuse("UpdateService", on, "ServiceNotActiveException", "Service was not ACTIVE.")
        if desired_count is not None and desired_count < 0:
            refuse("UpdateService", on, "InvalidParameterException", "desiredCount must not be negative.")
        if definition_arn is not None and definition_arn not in self._definitions:
            refuse("UpdateService", on, "ClientException", "TaskDefinition not found.")
        if definition_arn is not None and self._definitions[definition_arn]["status"] != "ACTIVE":
            refuse("UpdateService", on, "ClientException", "TaskDefinition is inactive")
        fits = check_fits_service(self._definitions[definition_arn], self.shape) if definition_arn is not None else None
        if fits is not None and fits.verdict is Verdict.FAIL:
            refuse("UpdateService", on, "InvalidParameterException", fits.reason)

    def task_images(self, service: ServiceSettings, definition_arn: str, deployment_id: str | None) -> dict[str, str]:
        self._require_named_service("ListTasks", service)
        running = [
            tasks.pulled
            for tasks in self._deployments
            if tasks.running and tasks.revision.definition_arn == definition_arn
            if deployment_id is None or tasks.id == deployment_id
        ]
        names = {name for images in running for name in images}
        told = {name: {images.get(name) for images in running} for name in names}
        return {name: str(only) for name, found in told.items() for only in found if len(found) == 1}

    def unstopped_tasks(self, service: ServiceSettings) -> int:
        self._require_named_service("ListTasks", service)
        return sum(tasks.running for tasks in self._deployments) + self.draining

    def service_tasks(self, service: ServiceSettings) -> tuple[ServiceTask, ...]:
        self._require_named_service("ListTasks", service)
        listed_since = self._clock.now() - timedelta(minutes=LISTED_MINUTES)
        stopped = tuple(task for task in self.stopped_tasks if task.stopped_at and task.stopped_at > listed_since)
        return (*self._running_tasks(), *stopped)

    def _running_tasks(self) -> Iterator[ServiceTask]:
        for tasks in self._deployments:
            for number in range(tasks.running):
                yield ServiceTask(
                    arn=f"{ACCOUNT_ARN}:task/{self.cluster}/{tasks.id.rpartition('/')[2]}{number:03d}",
                    definition_arn=tasks.revision.definition_arn,
                    deployment_id=tasks.id,
                    is_unhealthy=self._behaviour(tasks) == "unhealthy",
                )

    def has_container_insights(self, cluster: str) -> bool:
        return self.container_insights and cluster == self.cluster

    def stop_deployment(self, service_deployment_arn: str) -> None:
        self.calls.append(("stop_deployment", {"service_deployment_arn": service_deployment_arn}))
        found = next((d for d in self._service_deployments if d.arn == service_deployment_arn), None)
        asked, gone = ("StopServiceDeployment", service_deployment_arn), "ServiceDeploymentNotFoundException"
        if found is None:
            refuse(*asked, gone, "Service deployment not found.", frozenset({gone}))
        if found.status not in IN_FLIGHT:
            refuse(*asked, "ConflictException", f"it is in {found.status} state")
        if found.rollback_revision is None:
            self._deployments[0].rollout_state = "FAILED"
            self._roll_back("ROLLBACK_REQUESTED")

    # Behaviour of ECS

    def _behaviour(self, tasks: _Tasks) -> Behaviour:
        behaviour = self.behaviours.get(tasks.revision.definition_arn, self.default_behaviour)
        if behaviour == "stale":
            return "healthy" if self._was_at_zero else "unhealthy"
        return behaviour

    def _number(self) -> str:
        self._created_count += 1
        return f"{self._created_count:019d}"

    def _revision(self, definition_arn: str, at: datetime) -> _Revision:
        images = self._pulled(definition_arn) if self.resolves_images else {}
        return _Revision(self._arn("service-revision"), definition_arn, images, at)

    def _pulled(self, definition_arn: str) -> dict[str, str]:
        """Map each container to the image digest to which its tag points now."""
        images: dict[str, str] = {}
        for container in self._definitions[definition_arn]["containerDefinitions"]:
            digest = self._images.digest_of(container["image"])
            if digest is not None:
                images[container["name"]] = digest
        return images

    def _arn(self, kind: str) -> str:
        return f"{ACCOUNT_ARN}:{kind}/{self.cluster}/{self.ecs_service}/{self._number()}"

    def _begin(self, revision: _Revision, at: datetime) -> None:
        for earlier in self._service_deployments:
            if earlier.status in IN_FLIGHT:
                earlier.enter("STOPPED", at)
        sources = {tasks.revision.arn: tasks.revision for tasks in self._deployments}
        source = next(iter(sources.values())) if len(sources) == 1 else None
        arn = self._arn("service-deployment")
        self._service_deployments.insert(0, _ServiceDeployment(arn, revision, source, at))
        pulled = {**self._pulled(revision.definition_arn), **revision.images}
        self._deployments.insert(0, _Tasks(f"ecs-svc/{self._number()}", revision, at, pulled=pulled))
        self._deployments = [t for t in self._deployments if t is self._deployments[0] or t.running]

    def _roll_back(self, status: str) -> None:
        current = self._service_deployments[0]
        if self._completed is None:
            current.enter("ROLLBACK_FAILED", self._clock.now())
            return
        current.rollback_revision = self._completed
        current.enter(status, self._clock.now())
        alive = next((t for t in self._deployments if t.revision is self._completed), None)
        back = _Tasks(f"ecs-svc/{self._number()}", self._completed, self._clock.now(), is_rollback=True)
        if alive is not None:  # its tasks still run: what makes this the fastest path
            back.running, alive.running, back.pulled = alive.running, 0, alive.pulled
        self._deployments = [back, *(t for t in self._deployments if t.running)]

    def _trip_breaker(self, primary: _Tasks) -> None:
        breaker = self.deployment_configuration.get("deploymentCircuitBreaker", {})
        if primary.failed < 3 or not breaker.get("enable"):
            return
        primary.rollout_state = "FAILED"
        if primary.is_rollback:
            self._service_deployments[0].enter("ROLLBACK_FAILED", self._clock.now())
        elif breaker.get("rollback"):
            self._roll_back("ROLLBACK_IN_PROGRESS")
        else:
            self._service_deployments[0].enter("STOPPED", self._clock.now())

    def _complete(self) -> None:
        primary, current = self._deployments[0], self._service_deployments[0]
        self._deployments = [primary]
        primary.rollout_state = "COMPLETED"
        self._completed = primary.revision
        current.enter("ROLLBACK_SUCCESSFUL" if primary.is_rollback else "SUCCESSFUL", self._clock.now())
        self.events.insert(0, f"(service) (deployment {primary.id}) deployment completed.")


def _merged(kept: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Merge a request into the stored value: omitted members stay, at any depth (see `EcsServices.update`)."""
    merged = deep_copy(kept)
    for name, value in given.items():
        inner = isinstance(value, Mapping) and isinstance(merged.get(name), dict)
        merged[name] = _merged(merged[name], value) if inner else deep_copy(value)
    return merged


def _registration_refusals(
    containers: list[dict[str, Any]], family: str, tags: list[dict[str, str]]
) -> Iterator[tuple[str, str]]:
    """Yield code and message of each reason for which ECS refuses a definition."""
    if not _FAMILY.fullmatch(family):
        yield "ClientException", "Family contains invalid characters."
    if not containers:
        yield "ClientException", "Container list cannot be empty."
    if not all(container.get("name") and container.get("image") for container in containers):
        yield "ClientException", "Container.name and Container.image should not be null or empty."
    if not any(container.get("essential", True) for container in containers):
        yield "ClientException", "at least one container must be essential."
    if not all(_TAG_VALUE.fullmatch(tag["value"]) for tag in tags):
        yield "InvalidParameterException", "a tag value contains invalid characters."
