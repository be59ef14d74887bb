"""What the steps need of the world; adapters (`rollback.adapters`) and the tests' fakes have these shapes.

Every method may raise `ExternalServiceError` (outcome unknown: look before sending again), `Throttled` (nothing was
done) or `CallRefused` (refused for good: not sent again).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

from pydantic import SecretStr

from rollback.domain.rollback import Rollback
from rollback.domain.settings.environment import ServiceSettings, Settings
from rollback.ports.database import Databases, Sql
from rollback.ports.ledger import Ledger
from rollback.resources.aws.account_and_region import Home
from rollback.resources.aws.cloudformation_stack import StackView
from rollback.resources.aws.ecs_service import ProbeResult, ScalableTarget, ServiceView, TargetHealth
from rollback.resources.aws.ecs_task import TaskView


class Clock(Protocol):
    """Aware UTC."""

    def now(self) -> datetime: ...


class Services(Protocol):
    """ECS. The changing methods are never retried by the SDK."""

    def describe(self, service: ServiceSettings) -> ServiceView: ...
    def definition(self, arn_or_family: str) -> Mapping[str, Any] | None:
        """`taskDefinition` of DescribeTaskDefinition and its `tags`; None: not there.

        A family means its newest ACTIVE revision.
        """
        ...

    def register(
        self, definition: Mapping[str, Any], family: str, release: str, tags: Mapping[str, str] | None = None
    ) -> str:
        """Register a definition for the release with this fingerprint; its ARN.

        Args:
            definition: as stored; members that this code does not know are sent too, unless ECS refuses them.
            tags: more tags, beside ours; None: no others.
        """
        ...

    def task_images(self, service: ServiceSettings, definition_arn: str, deployment_id: str | None) -> dict[str, str]:
        """Container → image by digest, as the running tasks of a definition have it; those that differ are left out.

        Args:
            deployment_id: `ecs-svc/…`, only of the tasks that this deployment started; None: of all.
        """
        ...

    def update(
        self,
        service: ServiceSettings,
        *,
        definition_arn: str | None = None,
        desired_count: int | None = None,
        deployment_configuration: Mapping[str, Any] | None = None,
        force_new_deployment: bool = False,
    ) -> None: ...
    def unstopped_tasks(self, service: ServiceSettings) -> int:
        """Tasks that are not STOPPED yet; those that stop and drain still run."""
        ...

    def has_container_insights(self, cluster: str) -> bool: ...
    def stop_deployment(self, service_deployment_arn: str) -> None: ...


class Tasks(Protocol):
    """One-off tasks of a service's release: migrations run that way. Nothing is retried by the SDK."""

    def run(
        self, service: ServiceSettings, definition_arn: str, command: tuple[str, ...], started_by: str, token: str
    ) -> str:
        """Start a task in the service's network, with another command for its container; its ARN.

        Args:
            started_by: up to 128 letters, numbers, `-`, `/` and `_`; `started_by` finds the task by it.
            token: up to 64 characters; the same one with the same arguments starts no second task.

        Raises:
            RequestRefused: no task was started, and none will be.
            Throttled: no task was started, the same call may be sent again.
            OutcomeUnknown: one may have been.
        """
        ...

    def started_by(self, service: ServiceSettings, started_by: str) -> tuple[TaskView, ...]:
        """Those that run, and those that stopped within the last hour."""
        ...

    def describe(self, service: ServiceSettings, arn: str) -> TaskView | None:
        """None: ECS does not know it (any more)."""
        ...

    def logs(self, service: ServiceSettings, arn: str, lines: int) -> tuple[str, ...]:
        """The last lines that its container wrote; none if they don't go to CloudWatch, or are not there yet."""
        ...

    def stop(self, service: ServiceSettings, arn: str, reason: str) -> None:
        """End it; one that has ended is success."""
        ...


class Targets(Protocol):
    """ELB target health."""

    def health(self, target_group_arn: str) -> tuple[TargetHealth, ...]: ...
    def has_load_balancer(self, target_group_arn: str) -> bool:
        """Whether a load balancer routes to the group."""
        ...

    def health_checks(self, target_group_arns: tuple[str, ...]) -> dict[str, dict[str, Any]]:
        """Target group → how it checks its targets (path, port, codes, thresholds); without groups that are gone."""
        ...

    def sibling_target_groups(self, target_group_arns: tuple[str, ...]) -> tuple[str, ...]:
        """Other target groups to which the load balancers of these forward."""
        ...


class Scaling(Protocol):
    """Application Auto Scaling of an ECS service's desired count."""

    def describe(self, service: ServiceSettings) -> ScalableTarget | None:
        """None: the service is not scaled automatically."""
        ...

    def predictive_policies(self, service: ServiceSettings) -> tuple[str, ...]:
        """Policies that scale by forecast: no flag of the scalable target suspends them."""
        ...

    def put(self, service: ServiceSettings, target: ScalableTarget) -> None:
        """Register exactly this. Any registration lifts the desired count to the minimum (rule 2)."""
        ...


class Stacks(Protocol):
    """CloudFormation."""

    def describe(self, stack: str) -> StackView | None:
        """None: there is no such stack."""
        ...


class Secrets(Protocol):
    """Secrets Manager and SSM parameters that task definitions refer to."""

    def exists(self, value_from: str) -> bool | None:
        """Whether what a container's `secrets[].valueFrom` names is there; None: it can't be told."""
        ...

    def read(self, arn: str) -> SecretStr:
        """The value of a secret of ours, such as Neon's API key."""
        ...

    def write(self, arn: str, value: SecretStr, token: str) -> None:
        """Replace the value; the same token and value again is no second version."""
        ...


class References(Protocol):
    """Roles, log groups and files that task definitions refer to. None: not for us to see."""

    def role_exists(self, role: str) -> bool | None: ...
    def log_group_exists(self, name: str, region: str) -> bool | None:
        """An empty region is the service's own."""
        ...

    def file_exists(self, arn: str) -> bool | None: ...


class Images(Protocol):
    """ECR. Images of other registries are outside our sight: `exists` is None for them."""

    def exists(self, image: str) -> bool | None: ...
    def digest_of(self, image: str) -> str | None:
        """`repository@sha256:…` of an image by tag; None if it can't be told."""
        ...

    def label(self, image: str, name: str) -> str | None:
        """A label or annotation of an image; None: it has none of that name, or is not for us to see."""
        ...

    def add_tag(self, image: str, tag: str) -> None:
        """Tag an image by digest; one that has the tag already is success."""
        ...


class Alarms(Protocol):
    """CloudWatch."""

    def states(self, names: tuple[str, ...]) -> dict[str, str]:
        """Name → OK, ALARM or INSUFFICIENT_DATA; alarms that don't exist are left out."""
        ...

    def in_alarm_since(self, names: tuple[str, ...]) -> dict[str, datetime]:
        """Alarms in ALARM now, and since when."""
        ...

    def state_before(self, name: str, since: datetime) -> str | None:
        """The state from which the alarm went into ALARM at `since` or after; None: its history does not tell."""
        ...

    def mute_rules(self, name: str) -> tuple[str, ...]:
        """Alarm mute rules that silence the alarm now. Its state changes, and its events come, all the same."""
        ...

    def without_data(self, names: tuple[str, ...], since: datetime) -> tuple[str, ...]:
        """Metric alarms that exist, and none of whose metrics had a data point after `since`."""
        ...

    def fired_since(self, names: tuple[str, ...], since: datetime) -> tuple[str, ...]:
        """Alarms that went into ALARM after `since`."""
        ...

    def requests_since(self, target_groups: tuple[str, ...], since: datetime) -> float:
        """Requests that reached the target groups."""
        ...


class Http(Protocol):
    """Endpoints of the service."""

    def get(self, url: str, timeout_seconds: float, *, with_body: bool = False) -> ProbeResult:
        """One GET. `with_body`: the beginning of the answer is told too."""
        ...


class Notifications(Protocol):
    """Where people are told."""

    def publish(self, subject: str, message: str, attributes: Mapping[str, str]) -> None: ...


class Metrics(Protocol):
    """Numbers for the dashboard; written with the log, so nothing can fail."""

    def record_conclusion(self, rollback: Rollback) -> None: ...
    def record_sweep(self) -> None:
        """The janitor was here."""
        ...

    def record_readiness(self, service: str, *, is_rollback_available: bool, stale_leases: int) -> None:
        """What the alarms on ourselves look at."""
        ...


class Workflow(Protocol):
    """The state machine, for whoever starts it anew."""

    def start(self, name: str, given: Mapping[str, Any]) -> None:
        """Start an execution; one of that name that was started already is success."""
        ...

    def is_running(self, execution: str) -> bool: ...
    def stop(self, execution: str, cause: str) -> None:
        """Stop an execution; one that has ended, or is none (direct mode), is success."""
        ...


@dataclass(frozen=True)
class OptionalPorts:
    """What an emergency, or a look ahead of need, can do without, on clients with little patience."""

    targets: Targets
    scaling: Scaling
    stacks: Stacks
    secrets: Secrets
    references: References
    images: Images
    alarms: Alarms
    workflow: Workflow


@dataclass(frozen=True)
class World:
    """Everything outside, as one environment's functions see it."""

    settings: Settings
    clock: Clock
    ledger: Ledger
    services: Services
    targets: Targets
    scaling: Scaling
    stacks: Stacks
    secrets: Secrets
    references: References
    images: Images
    alarms: Alarms
    http: Http
    notifications: Notifications
    metrics: Metrics
    workflow: Workflow
    databases: Databases  # both raise InvalidRequest where the environment has no database
    sql: Sql
    tasks: Tasks
    databases_of: Callable[[Settings], Databases] | None = None  # for other settings; None: always `databases`
    emergency_ports: Callable[[], OptionalPorts] | None = None  # for an emergency; None: as patient as ever
    readiness_ports: Callable[[], OptionalPorts] | None = None  # for a look ahead of need; the same
    home: Home | None = None  # the account and region of this deployment; None: not known

    def with_short_timeouts(self) -> "World":
        """The same world where optional evidence gets one attempt and two seconds; made once for each invocation."""
        return (
            replace(self, **vars(self.emergency_ports()), emergency_ports=None)
            if self.emergency_ports is not None
            else self
        )

    def for_readiness_checks(self) -> "World":
        """The same world for one look at the readiness: no silent service keeps the others from being asked."""
        return replace(self, **vars(self.readiness_ports())) if self.readiness_ports is not None else self

    def for_settings(self, settings: Settings | None) -> "World":
        """The same world under the settings that an open rollback carries; None: it carries none."""
        if settings is None or settings == self.settings:
            return self
        databases = self.databases_of(settings) if self.databases_of is not None else self.databases
        return replace(self, settings=settings, databases=databases)
