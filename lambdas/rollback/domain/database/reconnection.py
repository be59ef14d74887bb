"""New connections of a branch's services after its data changed; part of the rollback's document."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from rollback.domain.database.progress import CommandRun, DatabaseIntent
from rollback.text import StoredText


class ReconnectMethod(StrEnum):
    """Method by which a service loses its old connections."""

    STARTED = "started"  # from zero tasks: the fence had stopped it
    NEW_TASKS = "new_tasks"  # a new deployment of the release that it runs
    COMMAND = "command"


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow")  # a newer version's fields are kept


class ServiceConnection(_Stored):
    """Reconnection of one service. Rule 9: `intent` is written before the change."""

    service: str
    method: ReconnectMethod
    began_at: AwareDatetime | None = Field(default=None, description="the service's turn began")
    intent: DatabaseIntent | None = Field(default=None, description="deployment or task that is about to be requested")
    replaced_deployment_id: str | None = Field(
        default=None, description="deployment that the intended one replaces, `ecs-svc/…`"
    )
    asked_at: AwareDatetime | None = Field(default=None, description="ECS accepted the request for the deployment")
    deployment_id: str | None = Field(
        default=None, description="deployment that brought new tasks, of this rollback or of the team"
    )
    run: CommandRun | None = Field(default=None, description="run of reconnect_command")
    reconnected_at: AwareDatetime | None = Field(default=None, description="from then on no old connection can exist")
    proof: CommandRun | None = Field(default=None, description="run of the command that proves the connection")
    session_seen_at: AwareDatetime | None = Field(
        default=None, description="pg_stat_activity showed a session of its application_name"
    )
    waiting_reason: StoredText = Field(default="", description="reason for the present wait")
    failure: StoredText | None = Field(default=None, description="why old connections may still exist")
    note: StoredText = ""
    finished_at: AwareDatetime | None = None

    def evolve(self, **changes: Any) -> "ServiceConnection":
        """A validated copy with some fields changed."""
        return ServiceConnection.model_validate({**dict(self), **changes})

    def failed(self, reason: str, now: datetime) -> "ServiceConnection":
        """A copy that ends the service's turn with a failure."""
        return self.evolve(failure=reason, finished_at=now, intent=None)


class Reconnection(_Stored):
    """Reconnection of all services, in the order of their turns."""

    started_at: AwareDatetime
    services: tuple[ServiceConnection, ...]
    ended_at: AwareDatetime | None = None

    @property
    def current(self) -> ServiceConnection | None:
        """The service whose turn it is; None: every service had its turn."""
        return next((service for service in self.services if service.finished_at is None), None)

    def of(self, service: str) -> ServiceConnection | None:
        """Reconnection of one service; None: it has none."""
        return next((connection for connection in self.services if connection.service == service), None)

    def with_service(self, connection: ServiceConnection) -> "Reconnection":
        """A copy with one service's part replaced."""
        services = tuple(connection if current.service == connection.service else current for current in self.services)
        return self.model_copy(update={"services": services})

    def ended(self, now: datetime) -> "Reconnection":
        """A copy that ends the reconnection, after every service had its turn."""
        return self.model_copy(update={"ended_at": now})


class CausedDeployment(BaseModel):
    """A deployment of a service's own release that a rollback requested.

    Rule 5: our own deployments trigger no rollback. A release that a rollback deploys has a family and a tag of ours.
    This deployment runs the team's own definition, so the ledger has to remember it.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")  # a newer version may have written it

    service: str
    rollback_id: str = ""
    asked_at: AwareDatetime
    definition_arn: str
    replaced_deployment_id: str = Field(description="PRIMARY at the time of the request, `ecs-svc/…`")
    deployment_id: str | None = Field(default=None, description="None until ECS lists it")
