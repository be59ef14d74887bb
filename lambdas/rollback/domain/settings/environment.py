"""Settings of an environment: synth writes them, and the functions read them from one environment variable.

The variable has compact JSON without defaults, packed where it is long (`packed.py`). Lambda allows 4 KB for all
environment variables together, and an emergency must not depend on a parameter store. Names known at deployment only
(table, topic, state machine) have variables of their own.
An open rollback's document has a copy, which is read leniently: another version may have other settings.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Self, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from rollback.domain.approval.policy import ApprovalPolicy, ApprovalReason
from rollback.domain.settings.chat import ChatSettings
from rollback.domain.settings.commit_source import PATTERN, CommitSource, Source
from rollback.domain.settings.connections import ConnectionSettings
from rollback.domain.settings.database import DatabaseSettings
from rollback.domain.settings.drills import DrillSettings
from rollback.domain.settings.github import GitHubSettings
from rollback.domain.settings.policy import Policy
from rollback.domain.settings.release_watch import ReleaseWatchSettings
from rollback.domain.settings.watched import ExtraAlarm, Queue, Starts, Unwatched
from rollback.errors import InvalidRequest
from rollback.names import MAX_QUEUES
from rollback.text import quoted

SETTINGS_VARIABLE = "ROLLBACK_SETTINGS"
LEDGER_TABLE_VARIABLE = "LEDGER_TABLE"
NOTIFICATION_TOPIC_VARIABLE = "NOTIFICATION_TOPIC_ARN"
CRITICAL_TOPIC_VARIABLE = "CRITICAL_TOPIC_ARN"
WORKFLOW_VARIABLE = "WORKFLOW_ARN"
APPROVALS_KEY_VARIABLE = "APPROVALS_KEY_ARN"
REPORT_BUCKET_VARIABLE = "REPORT_BUCKET"
CHAT_TOPIC_VARIABLE = "CHAT_TOPIC_ARN"  # only if Amazon Q Developer in chat applications shows messages


class HealthEndpoint(BaseModel):
    """One HTTP endpoint that must answer after a rollback."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str = Field(pattern="^/", description="path below base_url")
    status: int = Field(default=200, ge=100, le=599, description="HTTP status that every answer must have")
    max_latency_seconds: float = Field(
        default=2.0, gt=0, description="limit of the 95th percentile of a round's probes; below 20 probes, of each"
    )
    probes: int = Field(default=3, ge=1, le=20, description="requests of a round, one after the other")
    body: str | None = Field(default=None, min_length=1, description="text that every answer must contain")
    body_pattern: str | None = Field(
        default=None, min_length=1, description="regular expression (Python's `re`) that every answer must match"
    )

    @field_validator("body_pattern")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
        try:
            re.compile(pattern or "")
        except re.error as error:
            raise ValueError(f"allowed is a regular expression ({error})") from error
        return pattern


class ServiceSettings(BaseModel):
    """Settings of one ECS service.

    Attributes:
        name: our name of the service, in ledger, alarms and reports.
        ecs_service: name in ECS.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(
        pattern="^[a-z0-9][a-z0-9-]*$", description="this product's name of the service, in ledger, alarms and reports"
    )
    cluster: str = Field(description="name of the ECS cluster")
    ecs_service: str = Field(description="name of the service in ECS")
    container: str = Field(description="container whose image names the release's version")
    base_url: str | None = Field(default=None, description="without it HTTP checks are skipped")
    endpoints: tuple[HealthEndpoint, ...] = Field(default=(), description="endpoints that must answer after a rollback")
    commit_from: str = Field(
        default="variable:GIT_COMMIT",
        pattern=PATTERN,
        description="source of a release's git commit: `variable:NAME` of the container, `tag` of its image, or "
        "`label:NAME` of the image, such as `label:org.opencontainers.image.revision`",
    )
    stack: str | None = Field(
        default=None,
        description="CloudFormation stack that deploys the ECS service; without it drift and updates are not detected",
    )

    load_balancer_shared: bool | None = Field(
        default=None,
        description="whether other services share the load balancer: errors that it returns by itself are then not "
        "counted. Default: yes for a service described by `existing`",
    )
    connection: ConnectionSettings = Field(
        default=ConnectionSettings(), description="connection to the environment's database, after its data changed"
    )

    smoke_command: tuple[str, ...] = Field(
        default=(),
        description="command of the service's container, run once in each verification; exit code 0 is success",
    )
    smoke_timeout_seconds: float = Field(default=120, gt=0, description="limit of the smoke command's task")
    queues: tuple[Queue, ...] = Field(
        default=(),
        max_length=MAX_QUEUES,
        exclude_if=lambda value: not value,
        description="SQS queues that the service reads",
    )
    extra_alarms: tuple[ExtraAlarm, ...] = Field(
        default=(),
        max_length=50,
        exclude_if=lambda value: not value,
        description="alarms of the team's own about this service",
    )
    unwatched: tuple[Unwatched, ...] = Field(
        default=(),
        exclude_if=lambda value: not value,
        description="resources that `existing` does not name; synth derives the list, so `cdk.json` may not have it",
    )

    @property
    def evidence_alarms(self) -> tuple[str, ...]:
        """Names of the team's alarms that start no rollback."""
        return tuple(extra.alarm for extra in self.extra_alarms if extra.starts is Starts.EVIDENCE)

    @property
    def commit_source(self) -> CommitSource:
        """The setting `commit_from`, parsed."""
        return CommitSource.of(self.commit_from)


class Settings(BaseModel):
    """Settings of one environment."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    application: str
    environment: str
    services: tuple[ServiceSettings, ...] = Field(min_length=1)
    policy: Policy = Policy()
    approval: ApprovalPolicy = ApprovalPolicy()
    database: DatabaseSettings | None = None
    drills: DrillSettings = DrillSettings()
    github: GitHubSettings | None = None
    chat: ChatSettings = ChatSettings()
    release_watch: ReleaseWatchSettings = ReleaseWatchSettings()

    @model_validator(mode="after")
    def _writers_are_known(self) -> Self:
        unknown = set((self.database.writers if self.database else None) or ()) - set(self.service_names)
        if unknown:
            raise ValueError(f"database.writers names {', '.join(sorted(unknown))}; services: {self.service_names}")
        unknown = set(self.database.readers if self.database else ()) - set(self.service_names)
        if unknown:
            raise ValueError(f"database.readers names {', '.join(sorted(unknown))}; services: {self.service_names}")
        return self

    def writers(self) -> tuple[ServiceSettings, ...]:
        """Services that write to the database, in the order in which a rollback starts them again."""
        if self.database is None:
            return ()
        names = self.database.writers
        return self.services if names is None else tuple(self.service(name) for name in names)

    def readers(self) -> tuple[ServiceSettings, ...]:
        """Services that connect to the database without writing to it, and keep running during a restore."""
        return tuple(self.service(name) for name in self.database.readers) if self.database is not None else ()

    def writes_to_observed_branch(self, service_name: str) -> bool:
        """Whether a service writes to a branch that is observed ahead of need. Pull requests' branches are not."""
        has_branch = self.database is not None and self.database.branch_id is not None
        return has_branch and service_name in {service.name for service in self.writers()}

    @property
    def runs_connection_tasks(self) -> bool:
        """Whether a connection's command of some service runs as a task."""
        return self.database is not None and any(service.connection.runs_tasks for service in self.services)

    @property
    def runs_smoke_tasks(self) -> bool:
        """Whether a smoke command of some service runs as a task."""
        return any(service.smoke_command for service in self.services)

    @property
    def can_need_approval(self) -> bool:
        """Whether some rollback may need an approval: those of a database only where there is one."""
        without_database = set(self.approval.required_for) - {ApprovalReason.DATABASE, ApprovalReason.FULL}
        return bool(self.approval.required_for if self.database is not None else without_database)

    @property
    def reads_labels(self) -> bool:
        """Whether some service's commits come from a label of an image."""
        return any(service.commit_source.kind is Source.LABEL for service in self.services)

    @property
    def prefix(self) -> str:
        """Prefix of the environment's AWS resources: `<application>-<environment>`."""
        return f"{self.application}-{self.environment}"

    @property
    def service_names(self) -> tuple[str, ...]:
        """Our names of the services."""
        return tuple(service.name for service in self.services)

    def service(self, name: str) -> ServiceSettings:
        """Find a service by our name.

        Raises:
            InvalidRequest: the environment has no such service.
        """
        for service in self.services:
            if service.name == name:
                return service
        names = ", ".join(self.service_names)
        raise InvalidRequest(f"service {quoted(name)} is not one of {names}; nothing was changed")

    def service_or_only(self, name: str | None) -> ServiceSettings:
        """Find the named service; without a name the only one.

        Raises:
            InvalidRequest: the environment has no such service, or several and no name was given.
        """
        if name is not None:
            return self.service(name)
        if len(self.services) > 1:
            names = ", ".join(self.service_names)
            raise InvalidRequest(f"this environment has several services; add --service: {names}; nothing was changed")
        return self.services[0]


def read_leniently(value: Any) -> Settings | None:
    """Parse settings without the fields that this version does not know.

    None: the rest is not valid either, and the deployed settings are used.
    """
    if value is None or isinstance(value, Settings):
        return value
    if not isinstance(value, Mapping):
        return None
    try:
        return Settings.model_validate(_known_part(Settings, value))
    except ValidationError:
        return None


StoredSettings = Annotated[Settings | None, BeforeValidator(read_leniently)]


def _known_part(kind: type[BaseModel], fields: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _known_value(field.annotation, fields[name])
        for name, field in kind.model_fields.items()
        if name in fields
    }


def _known_value(annotation: Any, value: Any) -> Any:
    """Descend into models, optional models and tuples of models; return every other value as it is."""
    model = _model_in(annotation)
    if model is None:
        return value
    if isinstance(value, Mapping):
        return _known_part(model, value)
    if isinstance(value, list | tuple):
        return [_known_part(model, item) if isinstance(item, Mapping) else item for item in value]
    return value


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for part in get_args(annotation) if (model := _model_in(part)) is not None), None)
