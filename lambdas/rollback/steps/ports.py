"""What the steps need of the world; adapters (`rollback.world`) and the tests' fakes have these shapes.

Every method may raise `OutsideFailure` (outcome unknown: look before sending again) or `Throttled` (nothing was done).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from pydantic import SecretStr

from rollback.model.lease import Lease
from rollback.model.observation import Observation
from rollback.model.operators import OperatorAction, Pause
from rollback.model.release import Release, ReleaseState
from rollback.model.release_schema import ReleaseSchema
from rollback.model.restore_points import RecordedPoint
from rollback.model.rollback import Rollback
from rollback.model.service_view import ProbeResult, ScalableTarget, ServiceView, TargetHealth
from rollback.model.settings import ServiceSettings, Settings
from rollback.model.stack_view import StackView
from rollback.model.standing_plan import Bake, StandingPlan
from rollback.model.task_view import TaskView
from rollback.steps.ports_database import Databases, Sql


class Clock(Protocol):
    """Aware UTC."""

    def now(self) -> datetime: ...


class Documents(Protocol):
    """Rollback documents; see `world.ledger` for the promises."""

    def create(self, rollback: Rollback) -> Rollback: ...
    def read(self, service: str, rollback_id: str) -> Rollback: ...
    def save(self, rollback: Rollback, *, under_lease_until: datetime | None = None) -> Rollback: ...
    def history(self, service: str) -> Iterator[Rollback]: ...


class Leases(Protocol):
    """The right to roll back a service; or to change a database branch, by its key (`branch_key`)."""

    def acquire(self, service: str, rollback_id: str, now: datetime, until: datetime) -> Lease | None: ...
    def renew(self, lease: Lease, now: datetime, until: datetime) -> Lease: ...
    def take_over(self, held: Lease, rollback_id: str, until: datetime) -> Lease | None:
        """Take a lease that somebody holds, as it was read; None if it has changed since."""
        ...

    def release_lease(self, service: str, rollback_id: str) -> None: ...
    def lease(self, service: str) -> Lease | None: ...


class Releases(Protocol):
    """What ran, and what the evidence says of it."""

    def record(self, release: Release, definition: dict[str, Any]) -> None: ...
    def definition(self, sha256: str) -> dict[str, Any]: ...
    def releases(self, service: str) -> tuple[Release, ...]: ...
    def judge(self, release: Release, state: ReleaseState, at: datetime, reason: str) -> Release: ...
    def bake(self, service: str) -> Bake | None: ...
    def put_bake(self, bake: Bake) -> None: ...
    def standing_plan(self, service: str) -> StandingPlan | None: ...
    def put_standing_plan(self, plan: StandingPlan) -> None:
        """Unless a newer one was put already."""
        ...

    def amend_standing_plan(self, read: StandingPlan, amended: StandingPlan) -> None:
        """Replace the one that was read, computed anew or not. Conflict: another was put meanwhile."""
        ...


class Branches(Protocol):
    """What is kept of a database branch; `branch` is its key (`database_settings.branch_key`)."""

    def put_schema(self, schema: ReleaseSchema) -> None:
        """Store it under its SHA-256, once."""
        ...

    def schema(self, sha256: str) -> ReleaseSchema:
        """KeyError: none is stored under this digest."""
        ...

    def know_schema(self, release: Release, schema_sha256: str) -> Release:
        """The release with the key of its schema. Conflict: it was changed since it was read."""
        ...

    def put_restore_point(self, point: RecordedPoint) -> None:
        """Of the same moment, service and version the first stays."""
        ...

    def restore_points(self, branch: str) -> tuple[RecordedPoint, ...]:
        """Newest first."""
        ...

    def observation(self, branch: str) -> Observation | None: ...
    def put_observation(self, observation: Observation) -> None:
        """Unless a newer one was put already."""
        ...


class Operators(Protocol):
    """What people decided and did by hand."""

    def pause(self, service: str) -> Pause | None: ...
    def put_pause(self, pause: Pause) -> None: ...
    def end_pause(self, service: str) -> None: ...
    def record_action(self, action: OperatorAction) -> None: ...
    def actions(self, service: str) -> Iterator[OperatorAction]: ...


class Ledger(Documents, Leases, Releases, Branches, Operators, Protocol):
    """The whole table."""


class Services(Protocol):
    """ECS. The changing methods are never retried by the SDK."""

    def look(self, service: ServiceSettings) -> ServiceView: ...
    def definition(self, arn_or_family: str) -> Mapping[str, Any] | None:
        """`taskDefinition` of DescribeTaskDefinition and its `tags`; None: not there.

        A family means its newest ACTIVE revision.
        """
        ...

    def register(self, definition: Mapping[str, Any], family: str, release: str) -> str:
        """Register a definition for the release with this fingerprint; its ARN."""
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

    def look(self, service: ServiceSettings, arn: str) -> TaskView | None:
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
    def health_checks(self, target_group_arns: tuple[str, ...]) -> dict[str, dict[str, Any]]:
        """Target group → how it checks its targets (path, port, codes, thresholds)."""
        ...


class Scaling(Protocol):
    """Application Auto Scaling of an ECS service's desired count."""

    def look(self, service: ServiceSettings) -> ScalableTarget | None:
        """None: the service is not scaled automatically."""
        ...

    def put(self, service: ServiceSettings, target: ScalableTarget) -> None:
        """Register exactly this. Any registration lifts the desired count to the minimum (rule 2)."""
        ...


class Stacks(Protocol):
    """CloudFormation."""

    def look(self, stack: str) -> StackView | None:
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


class Images(Protocol):
    """ECR. Images of other registries are outside our sight: `exists` is None for them."""

    def exists(self, image: str) -> bool | None: ...
    def digest_of(self, image: str) -> str | None:
        """`repository@sha256:…` of an image by tag; None if it can't be told."""
        ...

    def keep(self, image: str, tag: str) -> None:
        """Tag an image by digest; one that has the tag already is success."""
        ...


class Alarms(Protocol):
    """CloudWatch."""

    def states(self, names: tuple[str, ...]) -> dict[str, str]:
        """Name → OK, ALARM or INSUFFICIENT_DATA; alarms that don't exist are left out."""
        ...

    def red_since(self, names: tuple[str, ...]) -> dict[str, datetime]:
        """Alarms in ALARM now, and since when."""
        ...

    def fired_since(self, names: tuple[str, ...], since: datetime) -> tuple[str, ...]:
        """Alarms that went into ALARM after `since`."""
        ...

    def requests_since(self, target_groups: tuple[str, ...], since: datetime) -> float:
        """Requests that reached the target groups."""
        ...


class Http(Protocol):
    """Endpoints of the service."""

    def get(self, url: str, timeout_seconds: float) -> ProbeResult: ...


class Notifications(Protocol):
    """Where people are told."""

    def publish(self, subject: str, message: str, attributes: Mapping[str, str]) -> None: ...


class Metrics(Protocol):
    """Numbers for the dashboard; written with the log, so nothing can fail."""

    def concluded(self, rollback: Rollback) -> None: ...
    def swept(self) -> None:
        """The janitor was here."""
        ...

    def watched(self, service: str, *, has_way_back: bool, stale_leases: int) -> None:
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
    images: Images
    alarms: Alarms
    http: Http
    notifications: Notifications
    metrics: Metrics
    workflow: Workflow
    databases: Databases  # both raise InvalidRequest where the environment has no database
    sql: Sql
    tasks: Tasks
