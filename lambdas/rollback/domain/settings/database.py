"""Settings of an environment's database: the Neon branch, its writers, the strategy, and the time limits."""

from enum import StrEnum
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

NEON_API = "https://console.neon.tech/api/v2"
_PR = "{pr}"
_MAX_DAYS = 30  # "Maximum expiration is 30 days" (https://neon.com/docs/guides/branch-expiration)


class Strategy(StrEnum):
    """Strategy for rolling a database back."""

    RESTORE = "restore"  # a root branch, to a point in its own past
    RESET = "reset"  # to the head of another branch, named in the settings
    RECREATE = "recreate"  # a new branch of the same name, from that other branch; its host changes
    DELETE = "delete"  # only by request
    DOWN_MIGRATIONS = "down_migrations"  # down files of the running release, run by its own task definition
    AUTO = "auto"  # down-migrations if they exist and lose no data, else a restore


class RestoreLimits(BaseModel):
    """Time limits and options of a restore; by live reports a restore takes 6 to 13 s from request to query."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    children: Literal["refuse", "move"] = Field(
        default="move", description="a restored branch's children move to its backup, with the bad data in them"
    )
    window_margin_minutes: float = Field(
        default=15,
        ge=0,
        description="a restore point so close to the end of Neon's history may leave the history during the rollback",
    )
    session_grace_seconds: float = Field(
        default=90,
        ge=0,
        description="wait after the last task stopped, for sessions that no restart of the compute ended",
    )
    restart_timeout_seconds: float = Field(
        default=120, gt=0, description="limit of the restart of the compute that ends a pooler's sessions"
    )
    reconnect_grace_seconds: float = Field(
        default=20,
        ge=0,
        description="time after that restart; a program that is connected for longer is a foreign writer",
    )
    fence_timeout_minutes: float = Field(default=10, gt=0, description="limit until every task is STOPPED")
    restore_timeout_minutes: float = Field(
        default=20, gt=0, description="limit of fence, preview, restore and checks together"
    )
    move_timeout_minutes: float = Field(
        default=5, gt=0, description="limit of each move while services have zero tasks and nothing was overwritten"
    )
    protect_timeout_seconds: float = Field(
        default=60,
        gt=0,
        description="services wait so long for the branch's protection; then Conclude continues with it",
    )
    cleanup_timeout_minutes: float = Field(default=5, gt=0, description="limit of the cleanup after a failure")
    lost_answer_seconds: int = Field(
        default=30, ge=1, description="wait before a change without an answer is sent again, since it may still arrive"
    )
    preview_hours: float = Field(
        default=2,
        gt=0,
        le=_MAX_DAYS * 24,
        description="life of a preview branch: Neon then deletes one that we could not delete",
    )
    backup_days: float | None = Field(
        default=7,
        gt=0,
        le=_MAX_DAYS,
        description="life of the backup of a recreate or of down-migrations; null keeps it until deleted",
    )
    data_loss_timeout_minutes: float = Field(
        default=15,
        gt=0,
        description="limit of the comparison of the backup with the restored branch, after the conclusion",
    )
    report_keys: Literal["counts", "keys"] = Field(
        default="counts",
        description="whether ledger and report name primary keys of removed rows, which may be personal data",
    )
    carry_sequences: bool = Field(
        default=True,
        description="whether sequences continue behind the values of removed rows, so that no id is used again",
    )


class VerifyStatement(BaseModel):
    """One SQL query with its expected result; Verify runs it in a read-only transaction of its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sql: str = Field(
        max_length=1_000,
        pattern=r"(?is)^\s*(select|with|values|table|show)\b",
        description="one query; Postgres itself refuses a second statement and every write",
    )
    description: str = Field(min_length=1, max_length=80, description="meaning of the result, for the report")
    expect: str | None = Field(
        default=None, max_length=200, description="first value of the first row, as psql prints it: `t`, `42`"
    )
    rows: int | None = Field(default=None, ge=0, description="number of rows")

    @model_validator(mode="after")
    def _has_one_expectation(self) -> Self:
        if (self.expect is None) == (self.rows is None):
            raise ValueError(f"statement {self.description!r} needs exactly one of expect and rows")
        return self


class DatabaseSettings(RestoreLimits):
    """One branch of a Neon project, or by a pattern of names one branch for each pull request."""

    project_id: str = Field(pattern="^[a-z0-9-]+$", description="id of the Neon project")
    branch_id: str | None = Field(default=None, pattern="^br-[a-z0-9-]+$", description="Neon's id; names may change")
    branch_pattern: str | None = Field(default=None, description="name for a pull request, such as preview/pr-{pr}")
    database: str = Field(default="neondb", min_length=1, description="name of the database on the branch")
    role: str = Field(
        default="neondb_owner", min_length=1, description="role of Postgres by which the product reads the database"
    )
    api_key_secret_arn: str = Field(pattern="^arn:aws[a-z-]*:secretsmanager:", description="a project-scoped key")
    api_url: str = Field(default=NEON_API, pattern="^https?://", description="URL of Neon's API")
    strategy: Strategy = Field(
        default=Strategy.RESTORE, description="how the database is rolled back, if a request names no other strategy"
    )
    source_branch_id: str | None = Field(
        default=None,
        pattern="^br-[a-z0-9-]+$",
        description="source of a reset or recreate; never the branch's own parent",
    )
    writers: tuple[str, ...] | None = Field(
        default=None,
        description="services that write to the branch, in the order of their start; rule 8: all are fenced; None: all",
    )
    readers: tuple[str, ...] = Field(
        default=(),
        description="services that connect to the branch and never write to it; not fenced, reconnected afterwards",
    )
    reconnect_timeout_minutes: float = Field(
        default=10, gt=0, description="limit for each service, until it has only new connections and their proof"
    )
    session_proof_seconds: float = Field(
        default=60, ge=0, description="how long a session with a service's application_name is searched for"
    )
    connection_secret_arn: str | None = Field(
        default=None, pattern="^arn:aws[a-z-]*:secretsmanager:", description="secret with the services' connection URI"
    )
    connection_secret_key: str | None = Field(
        default=None, description="key of the URI or host in a JSON secret; None: the whole secret is the URI"
    )
    connection_secret_role_key: str | None = Field(
        default=None, description="key of the role's name, if connection_secret_key names a host alone"
    )
    connection_secret_password_key: str | None = Field(default=None, description="key of that role's password")
    down_command: tuple[str, ...] = Field(
        default=(),
        description="command of the container for each migration, newest first; {tag} is the migration's tag",
    )
    verify_command: tuple[str, ...] = Field(
        default=(), description="command after the down-migrations; exit code 0 means success"
    )
    task_timeout_minutes: float = Field(default=10, gt=0, description="limit of each of those commands")
    journal_table: str | None = Field(
        default=None,
        pattern=r"^[^.\s]+(\.[^.\s]+)?$",
        description="schema.table of a journal under an unusual name; the usual names are found without it",
    )
    verify_statements: tuple[VerifyStatement, ...] = Field(
        default=(), max_length=20, description="queries of the team that prove a good database"
    )
    observe_minutes: float = Field(
        default=60, gt=0, description="interval of observations of the database; each one wakes a suspended compute"
    )

    probe_minutes: float | None = Field(
        default=None,
        ge=5,
        exclude_if=lambda value: value is None,
        description="interval of measurements of connectivity and latency; null: with each observation. Neon suspends "
        "an idle compute after five minutes, so a short interval keeps the compute running, at its price",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.branch_id is None) == (self.branch_pattern is None):
            raise ValueError("database needs exactly one of branch_id and branch_pattern")
        if self.branch_pattern is not None and self.branch_pattern.count(_PR) != 1:
            raise ValueError(f"database.branch_pattern is {self.branch_pattern!r}; it must have {_PR} in it once")
        from_another = self.strategy in (Strategy.RESET, Strategy.RECREATE)
        if from_another and self.source_branch_id is None:
            raise ValueError(f"database.strategy {self.strategy} needs source_branch_id")
        if self.source_branch_id is not None and self.source_branch_id == self.branch_id:
            raise ValueError("database.source_branch_id is the branch itself")
        if self.preview_hours * 60 <= self.restore_timeout_minutes:
            raise ValueError(
                f"database.preview_hours is {self.preview_hours:g}: Neon would delete a preview that is needed; "
                f"it must be longer than restore_timeout_minutes, {self.restore_timeout_minutes:g}"
            )
        if self.strategy is Strategy.DELETE:
            raise ValueError("database.strategy delete can't be a default: a request has to name it")
        if self.strategy in (Strategy.DOWN_MIGRATIONS, Strategy.AUTO) and not self.down_command:
            raise ValueError(f"database.strategy {self.strategy} needs down_command")
        return self

    def branch_name(self, pr: int) -> str:
        """Name of a pull request's branch."""
        return (self.branch_pattern or "").replace(_PR, str(pr))

    def branch_of(self, pr: int | None) -> str:
        """Name in the ledger: Neon's id; for a pull request's branch, which comes and goes, its name."""
        return self.branch_id or self.branch_name(pr or 0)

    def branch_key(self, pr: int | None) -> str:
        """Key of the lease on the branch, and of all other items about it."""
        return branch_key(self.project_id, self.branch_of(pr))


BRANCH = "BRANCH#"


def branch_key(project_id: str, branch: str) -> str:
    """Partition key of a branch in the ledger."""
    return f"{BRANCH}{project_id}#{branch}"
