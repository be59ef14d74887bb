"""How the services of a database branch came to new connections after its data changed; part of the document."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from rollback.domain.database.progress import CommandRun, DatabaseIntent
from rollback.text import StoredText


class ReconnectMethod(StrEnum):
    """How a service was rid of its old connections."""

    STARTED = "started"  # from zero tasks: it stood behind the fence
    NEW_TASKS = "new_tasks"  # a new deployment of what it runs
    COMMAND = "command"


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow")  # a newer version's fields are kept


class ServiceConnection(_Stored):
    """One service. A change is announced by `intent`, as everywhere (rule 9)."""

    service: str
    way: ReconnectMethod
    began_at: AwareDatetime | None = Field(default=None, description="when its turn came")
    intent: DatabaseIntent | None = Field(default=None, description="the deployment or the task about to be asked for")
    replaced_deployment_id: str | None = Field(
        default=None, description="deployment that the announced one replaces, `ecs-svc/…`"
    )
    asked_at: AwareDatetime | None = Field(default=None, description="the announced deployment was asked for")
    deployment_id: str | None = Field(default=None, description="the one that brought new tasks, whoever asked for it")
    run: CommandRun | None = Field(default=None, description="of reconnect_command")
    reconnected_at: AwareDatetime | None = Field(default=None, description="no old connection can be left")
    proof: CommandRun | None = Field(default=None, description="of the command that proves the connection")
    session_seen_at: AwareDatetime | None = Field(
        default=None, description="pg_stat_activity showed a session of its application_name"
    )
    waiting_reason: StoredText = Field(default="", description="what keeps it at the moment")
    failure: StoredText | None = Field(default=None, description="why it is not known to have only new connections")
    note: StoredText = ""
    finished_at: AwareDatetime | None = None

    def evolve(self, **changes: Any) -> "ServiceConnection":
        """A validated copy with some fields changed."""
        return ServiceConnection.model_validate({**dict(self), **changes})

    def failed(self, why: str, now: datetime) -> "ServiceConnection":
        """No more is tried for this service."""
        return self.evolve(failure=why, finished_at=now, intent=None)


class Reconnection(_Stored):
    """All of them, in the order in which they get their turn."""

    started_at: AwareDatetime
    services: tuple[ServiceConnection, ...]
    ended_at: AwareDatetime | None = None

    @property
    def current(self) -> ServiceConnection | None:
        """The service whose turn it is; None: all are over."""
        return next((one for one in self.services if one.finished_at is None), None)

    def of(self, service: str) -> ServiceConnection | None:
        """What is known of one service."""
        return next((one for one in self.services if one.service == service), None)

    def with_service(self, changed: ServiceConnection) -> "Reconnection":
        """With one service's part replaced."""
        services = tuple(changed if one.service == changed.service else one for one in self.services)
        return self.model_copy(update={"services": services})

    def ended(self, now: datetime) -> "Reconnection":
        """Every service had its turn."""
        return self.model_copy(update={"ended_at": now})


class CausedDeployment(BaseModel):
    """A deployment of a service's own release that a rollback asked for: it must not trigger a rollback (rule 5).

    A release that a rollback deploys is told by its family and tag; this one runs the team's own definition.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")  # a newer version may have written it

    service: str
    rollback_id: str = ""
    asked_at: AwareDatetime
    definition_arn: str
    replaced_deployment_id: str = Field(description="PRIMARY as it was asked for, `ecs-svc/…`")
    deployment_id: str | None = Field(default=None, description="known once ECS shows it")
