"""State of a Neon project: the fields of Neon's API on which decisions rest, under Neon's names.

Facts about Neon are from its API specification and https://neon.com/docs/introduction/branch-restore.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict

from rollback.resources.database.wal_position import LsnText

_SUCCEEDED = frozenset({"finished", "skipped"})
_USABLE = frozenset({"ready", "archived"})
_LOST = frozenset({"error", "cancelled"})
_RETRIED_BY_NEON = timedelta(seconds=60)  # Neon retries a failed operation within this time
# "Root branch" in https://neon.com/docs/manage/branches, which leaves direct_sales and aws_marketplace out.
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
    """Action that Neon refuses for a branch now: `restore`, `delete-rw-endpoint`, …"""

    name: str
    reason: str


class Branch(_View):
    """Neon branch. `parent_lsn` and `parent_timestamp` are final only after the operations of its creation."""

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
        """Whether the branch has no parent; only a root branch is restored to a point in its own past."""
        return self.parent_id is None

    @property
    def is_ready(self) -> bool:
        """Whether the branch can be queried and changed now.

        An archived branch is ready: Neon unarchives it on use (https://neon.com/docs/guides/branch-archiving).
        """
        return self.current_state in _USABLE and self.pending_state in {None, "ready", self.current_state}

    @property
    def history_begins_at(self) -> datetime:
        """Time of creation or of the last restore, which replaces the history; the backup has the older history."""
        return self.last_reset_at or self.created_at

    def why_not(self, action: str) -> str | None:
        """Return Neon's reason for refusing an action now, or None if Neon does not refuse it."""
        return next((restricted.reason for restricted in self.restricted_actions if restricted.name == action), None)


class Endpoint(_View):
    """Compute, which the host of a connection URI names. A compute stays when its branch is restored."""

    id: str
    branch_id: str
    host: str
    type: str
    current_state: str
    pending_state: MaybeText = None
    disabled: bool = False


class Operation(_View):
    """Operation of Neon. An unknown status counts as unfinished."""

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
        """Report whether the operation has succeeded or failed for good."""
        return self.has_succeeded or self.has_failed(now)

    @property
    def has_succeeded(self) -> bool:
        """Whether the operation is finished or was unnecessary."""
        return self.status in _SUCCEEDED

    def has_failed(self, now: datetime) -> bool:
        """Report whether the operation failed for good.

        Neon may retry an operation in the status `failed`. It is final when nothing has changed for a minute.
        """
        return self.status in _LOST or (self.status == "failed" and now - self.updated_at >= _RETRIED_BY_NEON)


class AllowedIps(_View):
    """IP Allow list of addresses that may connect; an empty list allows all."""

    ips: tuple[str, ...] = ()
    protected_branches_only: bool = False


class ProjectSettings(_View):
    """Settings of a project."""

    allowed_ips: AllowedIps | None = None


class Project(_View):
    """Neon project, which the branches of all environments may share."""

    id: str
    name: str
    history_retention_seconds: int
    subscription_type: str = "UNKNOWN"
    settings: ProjectSettings | None = None

    @classmethod
    def of_answer(cls, project: dict[str, Any]) -> "Project":
        """Parse `project` of GET /projects/{id}; the owner of the project has the plan."""
        owner = project.get("owner") or {}
        return cls.model_validate({**project, "subscription_type": owner.get("subscription_type", "UNKNOWN")})

    @property
    def root_branch_limit(self) -> int | None:
        """Number of root branches that the plan allows, backups of a root branch included; None if not known."""
        return _ROOT_BRANCHES.get(self.subscription_type.partition("_")[0])

    @property
    def limits_protected_only(self) -> bool:
        """Whether IP Allow limits protected branches only, so that any address reaches the others."""
        allowed = self.settings.allowed_ips if self.settings is not None else None
        return allowed is not None and bool(allowed.ips) and allowed.protected_branches_only


@dataclass(frozen=True)
class RestoreWindow:
    """Part of a branch's history to which it can be restored.

    Attributes:
        kept_since: beginning of Neon's retention, which moves with the clock.
        began_at: creation or last restore of the branch, which never moves.
    """

    kept_since: datetime
    began_at: datetime
    latest: datetime

    @property
    def earliest(self) -> datetime:
        """First time in the window now."""
        return max(self.kept_since, self.began_at)

    def contains(self, at: datetime, margin: timedelta) -> bool:
        """Report whether a time is in the window, with a margin to the moving end: the restore comes later."""
        return self.kept_since + margin <= at and self.began_at <= at <= self.latest


def restore_window(project: Project, branch: Branch, now: datetime) -> RestoreWindow:
    """Return the restore window from the project's history retention and the branch's beginning."""
    kept_since = now - timedelta(seconds=project.history_retention_seconds)
    return RestoreWindow(kept_since=kept_since, began_at=branch.history_begins_at, latest=now)


class BranchChange(_View):
    """Answer of Neon to an accepted change of a branch, whose operations go on."""

    branch: Branch
    endpoints: tuple[Endpoint, ...] = ()
    operations: tuple[Operation, ...] = ()


class EndpointChange(_View):
    """Answer of Neon to an accepted change of a compute, whose operations go on."""

    endpoint: Endpoint
    operations: tuple[Operation, ...] = ()
