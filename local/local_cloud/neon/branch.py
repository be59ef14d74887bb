"""A branch as the local Neon keeps it, and Neon's refusals to change it."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from local_cloud.neon.operations import now
from local_cloud.neon.timeline import Timeline
from rollback.resources.database.wal_position import Lsn


class NeonApiError(Exception):
    """An error that the API answers. The text is its message.

    Attributes:
        status: the HTTP status.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


USABLE = frozenset({"ready", "archived"})
_MAX_EXPIRY = timedelta(days=30)


@dataclass
class Branch:
    """A branch. A branch without a parent is a root.

    Attributes:
        timeline: the storage; None until an operation has made it.
        restricted: actions that Neon refuses, with the reason.
        restored_at: time of the last restore, even if `last_reset_at` does not show it.
    """

    id: str
    name: str
    timeline: Timeline | None = None
    parent_id: str | None = None
    parent_lsn: Lsn | None = None
    parent_timestamp: datetime | None = None
    state: str = "ready"
    pending_state: str | None = None
    default: bool = False
    protected: bool = False
    expires_at: datetime | None = None
    last_reset_at: datetime | None = None
    created_at: datetime = field(default_factory=now)
    updated_at: datetime = field(default_factory=now)
    state_changed_at: datetime = field(default_factory=now)
    restricted: dict[str, str] = field(default_factory=dict)
    restored_at: datetime | None = None

    @property
    def history_starts_at(self) -> datetime:
        """Beginning of the branch's own history: its last restore, else its creation."""
        return self.restored_at or self.created_at

    def set_state(self, state: str, pending: str | None = None) -> None:
        """Enter a state; `pending` is the state that follows it."""
        self.state, self.pending_state = state, pending
        self.updated_at = self.state_changed_at = now()

    def storage(self) -> Timeline:
        """Return the storage.

        Raises:
            NeonApiError: the storage can't be read yet.
        """
        if self.timeline is None or self.state not in USABLE:
            raise NeonApiError(422, "branch not ready yet")
        return self.timeline


def refuse_restore(target: Branch, source: Branch, *, has_children: bool, to_position: bool, keeps: bool) -> None:
    """Check Neon's rules for a restore. The messages are Neon's, where they are published.

    `to_position`: the request names a position in the source's history. `keeps`: it names a branch that keeps the
    present state.

    Raises:
        NeonApiError: the request breaks a rule.
    """
    if target.protected:
        raise NeonApiError(422, "cannot reset protected branch")
    if target.state not in USABLE:
        raise NeonApiError(422, "branch not ready yet")
    if "restore" in target.restricted:
        raise NeonApiError(422, target.restricted["restore"])
    if source is target and not to_position:
        raise NeonApiError(400, "source_lsn or source_timestamp is required to restore a branch from itself")
    if source is target and not keeps:
        raise NeonApiError(422, "preserve_under_name is required to restore a branch from itself")
    if has_children and not keeps:
        raise NeonApiError(422, "Branch has children, preserve_under_name is required")
    if to_position and source.parent_id is not None:
        raise NeonApiError(422, "a point in time can be restored from a root branch only")


def refuse_deletion(branch: Branch, *, has_children: bool) -> None:
    """Check Neon's rules for a deletion.

    Raises:
        NeonApiError: Neon would not delete the branch.
    """
    if branch.protected:
        raise NeonApiError(422, "cannot delete protected branch")
    if branch.default:
        raise NeonApiError(422, "cannot delete the default branch")
    if has_children:
        raise NeonApiError(422, "cannot delete branch that has children")
    if "delete" in branch.restricted:
        raise NeonApiError(422, branch.restricted["delete"])


def refuse_expiry(at: datetime, *, protected: bool, default: bool = False, has_children: bool = False) -> None:
    """Check Neon's rules for an expiry (https://neon.com/docs/guides/branch-expiration). The messages are ours.

    Raises:
        NeonApiError: the branch can't expire, or not at this time.
    """
    if not now() < at <= now() + _MAX_EXPIRY:
        raise NeonApiError(422, "expires_at must be in the future and at most 30 days from now")
    for is_excluded, branch in ((protected, "a protected branch"), (default, "the default branch")):
        if is_excluded:
            raise NeonApiError(422, f"expires_at can't be set on {branch}")
    if has_children:
        raise NeonApiError(422, "expires_at can't be set on a branch with children")


def refuse_child_of(parent: Branch) -> None:
    """Check that the parent of a new branch does not expire.

    "Cannot expire branches that have children or create children from expiring branches"
    (https://neon.com/docs/guides/branch-expiration).

    Raises:
        NeonApiError: the parent expires.
    """
    if parent.expires_at is not None:
        raise NeonApiError(422, "a branch that expires can't have children")
