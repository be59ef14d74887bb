"""The database of an environment: which Neon branch, who writes to it, how it goes back, how long it may take."""

from enum import StrEnum
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

NEON_API = "https://console.neon.tech/api/v2"
_PR = "{pr}"
_MOST_DAYS = 30  # "Maximum expiration is 30 days" (https://neon.com/docs/guides/branch-expiration)


class Strategy(StrEnum):
    """How a database goes back."""

    RESTORE = "restore"  # a root branch, to a point in its own past
    RESET = "reset"  # to the head of another branch, named in the settings
    RECREATE = "recreate"  # a new branch of the same name, from that other branch; its host changes
    DELETE = "delete"  # only ever when asked for
    DOWN_MIGRATIONS = "down_migrations"  # the running release's own down files, run as a task of it
    AUTO = "auto"  # down-migrations if they are there and lose nothing, else a restore


class RestoreLimits(BaseModel):
    """Durations from live reports: a restore takes 6 to 13 s from request to query."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    children: Literal["refuse", "move"] = Field(
        default="move", description="a restored branch's children move to its backup, with the bad data in them"
    )
    window_margin_minutes: float = Field(
        default=15, ge=0, description="a restore point this close to the end of Neon's history may leave it meanwhile"
    )
    session_grace_seconds: float = Field(
        default=90,
        ge=0,
        description="after the last task has stopped, for sessions that no restart of the compute ended",
    )
    restart_timeout_seconds: float = Field(
        default=120, gt=0, description="for the restart of the compute that ends a pooler's sessions"
    )
    reconnect_grace_seconds: float = Field(
        default=20, ge=0, description="after that restart: a program that is connected for longer is a foreign writer"
    )
    fence_timeout_minutes: float = Field(default=10, gt=0, description="until every task is STOPPED")
    restore_timeout_minutes: float = Field(default=20, gt=0, description="fence, preview, restore and checks together")
    move_timeout_minutes: float = Field(
        default=5, gt=0, description="each move while services stand at zero and nothing was overwritten"
    )
    protect_timeout_seconds: float = Field(
        default=60, gt=0, description="services wait for the branch's protection only so long: Conclude goes on with it"
    )
    cleanup_timeout_minutes: float = Field(default=5, gt=0, description="for putting right what a failure left")
    lost_answer_seconds: int = Field(
        default=30, ge=1, description="a change without an answer may still arrive: looked at before it is sent again"
    )
    preview_hours: float = Field(
        default=2, gt=0, le=_MOST_DAYS * 24, description="Neon deletes a preview that we could not delete"
    )
    backup_days: float | None = Field(
        default=7,
        gt=0,
        le=_MOST_DAYS,
        description="of a recreated branch, and of one that steps down; null keeps it until deleted",
    )
    data_loss_timeout_minutes: float = Field(
        default=15, gt=0, description="for comparing the backup with what the restore left, after the conclusion"
    )
    report_keys: Literal["counts", "keys"] = Field(
        default="counts", description="whether ledger and report name primary keys of lost rows: they may be personal"
    )
    carry_sequences: bool = Field(
        default=True, description="sequences continue behind the values of lost rows, so that no id is given out again"
    )


class DatabaseSettings(RestoreLimits):
    """One branch of a Neon project; or, by a pattern of names, one for each pull request."""

    project_id: str = Field(pattern="^[a-z0-9-]+$")
    branch_id: str | None = Field(default=None, pattern="^br-[a-z0-9-]+$", description="Neon's id; names may change")
    branch_pattern: str | None = Field(default=None, description="name by pull request, such as preview/pr-{pr}")
    database: str = Field(default="neondb", min_length=1)
    role: str = Field(default="neondb_owner", min_length=1)
    api_key_secret_arn: str = Field(pattern="^arn:aws[a-z-]*:secretsmanager:", description="a project-scoped key")
    api_url: str = Field(default=NEON_API, pattern="^https?://")
    strategy: Strategy = Strategy.RESTORE
    source_branch_id: str | None = Field(
        default=None, pattern="^br-[a-z0-9-]+$", description="of a reset or recreate: never the branch's own parent"
    )
    writers: tuple[str, ...] | None = Field(
        default=None,
        description="every service that writes to the branch (rule 8), the first is put back first; None: all",
    )
    readers: tuple[str, ...] = Field(
        default=(),
        description="services that connect to the branch and never write to it: not fenced, reconnected afterwards",
    )
    reconnect_timeout_minutes: float = Field(
        default=10, gt=0, description="for each service, until it has new connections only, and for the proof of them"
    )
    session_proof_seconds: float = Field(
        default=60, ge=0, description="how long a session of a service's application_name is looked for"
    )
    connection_secret_arn: str | None = Field(
        default=None, pattern="^arn:aws[a-z-]*:secretsmanager:", description="where the services' connection URI is"
    )
    connection_secret_key: str | None = Field(
        default=None, description="key in a secret of JSON, of a URI or a host; None: the whole secret is the URI"
    )
    connection_secret_role_key: str | None = Field(
        default=None, description="key of the role's name, where connection_secret_key is that of a host alone"
    )
    connection_secret_password_key: str | None = Field(default=None, description="key of that role's password")
    down_command: tuple[str, ...] = Field(
        default=(), description="of the container, per migration; {tag} is the migration's; run newest first"
    )
    verify_command: tuple[str, ...] = Field(
        default=(), description="run after the down-migrations; exit code 0 is good"
    )
    task_timeout_minutes: float = Field(default=10, gt=0, description="for each of those commands")
    journal_table: str | None = Field(
        default=None,
        pattern=r"^[^.\s]+(\.[^.\s]+)?$",
        description="schema.table of a migration tool's journal under a name of its own; the usual names are found",
    )
    observe_minutes: float = Field(
        default=60, gt=0, description="how often the database is looked at; each look wakes a compute that sleeps"
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
            raise ValueError("database.strategy delete can't be a default: it is asked for by name")
        if self.strategy in (Strategy.DOWN_MIGRATIONS, Strategy.AUTO) and not self.down_command:
            raise ValueError(f"database.strategy {self.strategy} needs down_command")
        return self

    def branch_name(self, pr: int) -> str:
        """Of a pull request's branch."""
        return (self.branch_pattern or "").replace(_PR, str(pr))

    def branch_of(self, pr: int | None) -> str:
        """What the branch is called in the ledger: Neon's id; of a pull request's, which comes and goes, the name."""
        return self.branch_id or self.branch_name(pr or 0)

    def lease_of(self, pr: int | None) -> str:
        """Key of the lease on the branch, and of all that is kept about it."""
        return branch_key(self.project_id, self.branch_of(pr))


BRANCH = "BRANCH#"


def branch_key(project_id: str, branch: str) -> str:
    """Partition of a branch in the ledger."""
    return f"{BRANCH}{project_id}#{branch}"
