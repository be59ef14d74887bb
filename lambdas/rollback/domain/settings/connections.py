"""Settings of one service's connection to the database: its renewal and its proof after data changed."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class ConnectionSettings(BaseModel):
    """Settings of a connection; without any proof, verification reports that the connection was not checked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reconnect_command: tuple[str, ...] = Field(
        default=(), description="command of a reader's container, run as a task in place of new tasks of the service"
    )
    check_path: str | None = Field(
        default=None,
        pattern="^/",
        description="endpoint below base_url whose answer needs the database, such as one row of a table",
    )
    check_status: int = Field(
        default=200, ge=100, le=599, description="HTTP status that the answer of check_path must have"
    )
    check_body: str | None = Field(default=None, min_length=1, description="text that the answer must contain")
    check_max_latency_seconds: float = Field(
        default=5.0, gt=0, description="longest time that the answer of check_path may take"
    )
    command: tuple[str, ...] = Field(
        default=(), description="command of the service's container, run as a task; exit code 0 proves the connection"
    )
    application_name: str | None = Field(
        default=None,
        min_length=1,
        max_length=63,
        description="`application_name` of the service's sessions; Postgres keeps 63 bytes of it",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.check_body is not None and self.check_path is None:
            raise ValueError("connection.check_body is set; it is looked for in the answer of check_path, which is not")
        return self

    @property
    def runs_tasks(self) -> bool:
        """Whether a command is run as a task."""
        return bool(self.reconnect_command or self.command)
