"""A Neon project as it stands: what the steps decide by. Fields are named as in Neon's API; the rest is left out.

Facts about Neon are from its API specification and https://neon.com/docs/introduction/branch-restore.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict

from rollback.resources.database.wal_position import LsnText

_SUCCEEDED = frozenset({"finished", "skipped"})
_USABLE = frozenset({"ready", "archived"})
_LOST = frozenset({"error", "cancelled"})
_RETRIED_BY_NEON = timedelta(seconds=60)  # a failed operation that Neon retries has changed by then
# "Root branch" in https://neon.com/docs/manage/branches; of other plans (direct_sales, aws_marketplace) no page tells.
_ROOT_BRANCHES = {"free": 3, "launch": 5, "scale": 25, "business": 25}


def _absent_if_empty(value: object) -> object:
    return None if value == "" else value


class _View(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


# Neon's specification: after a restore these "might stay empty".
MaybeText = Annotated[str | None, BeforeValidator(_absent_if_empty)]
MaybeTime = Annotated[AwareDatetime | None, BeforeValidator(_absent_if_empty)]
MaybeLsn = Annotated[LsnText | None, BeforeValidator(_absent_if_empty)]


class RestrictedAction(_View):
    """Something that Neon won't do with a branch now: `restore`, `delete-rw-endpoint`, …"""

    name: str
    reason: str


class Branch(_View):
    """One branch. `parent_lsn` and `parent_timestamp` are final only after the operations of its creation."""

    id: str
    name: str
    current_state: str
    default: bool
    protected: bool
    created_at: AwareDatetime
    updated_at: AwareDatetime
    parent_id: MaybeText = None
    parent_lsn: MaybeLsn = None
    parent_timestamp: MaybeTime = None
    pending_state: MaybeText = None
    last_reset_at: MaybeTime = None
    expires_at: MaybeTime = None
    restricted_actions: tuple[RestrictedAction, ...] = ()

    @property
    def is_root(self) -> bool:
        """Whether it has no parent: only such a branch is restored to a point in its own past."""
        return self.parent_id is None

    @property
    def is_ready(self) -> bool:
        """Whether it can be queried and changed now.

        An archived branch is: Neon unarchives it when it is used (https://neon.com/docs/guides/branch-archiving).
        """
        return self.current_state in _USABLE and self.pending_state in {None, "ready", self.current_state}

    @property
    def history_begins_at(self) -> datetime:
        """A restore replaces the history too; what was before is in the backup."""
        return self.last_reset_at or self.created_at

    def was_reset_since(self, t0: datetime) -> bool:
        """Whether a restore was accepted at a time or later; Neon tells whole seconds."""
        return self.last_reset_at is not None and self.last_reset_at >= t0.replace(microsecond=0)

    def why_not(self, action: str) -> str | None:
        """Neon's reason for refusing an action now; None if it does not refuse."""
        return next((a.reason for a in self.restricted_actions if a.name == action), None)


class Endpoint(_View):
    """A compute: what a connection string's host stands for. It stays when its branch is restored."""

    id: str
    branch_id: str
    host: str
    type: str
    current_state: str
    pending_state: MaybeText = None
    disabled: bool = False


class Operation(_View):
    """A piece of Neon's work. Actions and statuses that we don't know are let pass, as unfinished."""

    id: str
    action: str
    status: str
    failures_count: int = 0
    created_at: AwareDatetime
    updated_at: AwareDatetime
    branch_id: MaybeText = None
    endpoint_id: MaybeText = None
    error: MaybeText = None

    def is_over(self, now: datetime) -> bool:
        """Whether nothing more will come of it."""
        return self.has_succeeded or self.has_failed(now)

    @property
    def has_succeeded(self) -> bool:
        """Finished, or found unnecessary."""
        return self.status in _SUCCEEDED

    def has_failed(self, now: datetime) -> bool:
        """`failed` alone is not final: Neon may retry it; it is once nothing has changed for a minute."""
        return self.status in _LOST or (self.status == "failed" and now - self.updated_at >= _RETRIED_BY_NEON)


def summarize_operations(operations: Iterable[Operation], now: datetime) -> Literal["running", "succeeded", "failed"]:
    """Of all operations that a change caused: failed as soon as one has."""
    looked_at = tuple(operations)
    if any(operation.has_failed(now) for operation in looked_at):
        return "failed"
    return "succeeded" if all(operation.has_succeeded for operation in looked_at) else "running"


class AllowedIps(_View):
    """IP Allow: the addresses that may connect; an empty list allows all."""

    ips: tuple[str, ...] = ()
    protected_branches_only: bool = False


class ProjectSettings(_View):
    """Of the whole project."""

    allowed_ips: AllowedIps | None = None


class Project(_View):
    """The project that all environments' branches may share."""

    id: str
    name: str
    history_retention_seconds: int
    subscription_type: str = "UNKNOWN"
    settings: ProjectSettings | None = None

    @classmethod
    def of_answer(cls, project: dict[str, Any]) -> "Project":
        """From `project` of GET /projects/{id}, whose plan is its owner's."""
        owner = project.get("owner") or {}
        return cls.model_validate({**project, "subscription_type": owner.get("subscription_type", "UNKNOWN")})

    @property
    def root_branch_limit(self) -> int | None:
        """How many root branches the plan allows; backups of a root branch count. None: not known of this plan."""
        return _ROOT_BRANCHES.get(self.subscription_type.partition("_")[0])

    @property
    def limits_protected_only(self) -> bool:
        """Whether IP Allow holds on protected branches only: any address reaches the others."""
        allowed = self.settings.allowed_ips if self.settings is not None else None
        return allowed is not None and bool(allowed.ips) and allowed.protected_branches_only


@dataclass(frozen=True)
class RestoreWindow:
    """The part of a branch's history that it can be restored to.

    Attributes:
        kept_since: the end of Neon's retention, which moves on with the clock.
        began_at: when the branch was made or last restored, which never moves.
    """

    kept_since: datetime
    began_at: datetime
    latest: datetime

    @property
    def earliest(self) -> datetime:
        """The first time that is in it now."""
        return max(self.kept_since, self.began_at)

    def contains(self, at: datetime, margin: timedelta) -> bool:
        """Whether a time is in it, and not so close to the moving end that it may have left before the restore."""
        return self.kept_since + margin <= at and self.began_at <= at <= self.latest


def restore_window(project: Project, branch: Branch, now: datetime) -> RestoreWindow:
    """Neon keeps a project's history for so many seconds, and a branch has none before it was last restored."""
    kept_since = now - timedelta(seconds=project.history_retention_seconds)
    return RestoreWindow(kept_since=kept_since, began_at=branch.history_begins_at, latest=now)


class BranchChange(_View):
    """What Neon answered to a change that it accepted: the work goes on in the operations."""

    branch: Branch
    endpoints: tuple[Endpoint, ...] = ()
    operations: tuple[Operation, ...] = ()


class EndpointChange(_View):
    """The same for a compute."""

    endpoint: Endpoint
    operations: tuple[Operation, ...] = ()
