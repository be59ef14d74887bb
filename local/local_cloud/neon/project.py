"""A Neon project: its branches and computes, and the changes to them.

A change is checked and shown at once. Operations do its work, and while they run every other change is answered with
423. A restore changes the tree of branches (https://neon.com/docs/introduction/branch-restore):
- A root that is restored to its own past stays a root, and its backup is a root.
- A branch that is restored from another becomes its child.
- Children of the restored branch move to the backup.
"""

import contextlib
import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path

from local_cloud.neon import postgres as neon_postgres
from local_cloud.neon.branch import (
    Branch,
    NeonApiError,
    refuse_child_of,
    refuse_deletion,
    refuse_expiry,
    refuse_restore,
)
from local_cloud.neon.compute import Compute
from local_cloud.neon.faults import ENDPOINT_NOT_FOUND, BehaviourOverrides, ProxyRefusal, address_not_allowed
from local_cloud.neon.operations import Operation, Operations, now
from local_cloud.neon.timeline import OutsideHistoryError, Timeline
from rollback.resources.database.wal_position import Lsn, Position


@dataclass(frozen=True)
class Limits:
    """Limits of the project's plan."""

    history_retention_seconds: int = 86_400
    root_branches: int = 5
    protected_branches: int = 5  # 2 on Launch, 5 on Scale (https://neon.com/docs/guides/protected-branches)
    subscription_type: str = "launch_v3"


@dataclass
class ProjectSettings:
    """Settings of the project: IP Allow, a list of addresses and networks. An empty list allows all."""

    allowed_ips: tuple[str, ...] = ()
    protected_branches_only: bool = False

    def allows(self, branch: Branch, address: str) -> bool:
        """Whether a client may connect to a branch from an address."""
        if not self.allowed_ips or (self.protected_branches_only and not branch.protected):
            return True
        return any(ip_address(address) in ip_network(allowed, strict=False) for allowed in self.allowed_ips)


class Project:
    """A project. Thread-safe."""

    def __init__(self, identity: str, folder: Path, storage: Timeline, limits: Limits) -> None:
        """Make a project with the default branch `main`.

        Args:
            identity: the project's id.
            limits: those of the plan.
            folder: holds the storage of all branches.
            storage: that of `main`.
        """
        self.id = identity
        self.logical_replication = storage.logical_replication
        self.limits = limits
        self.settings = ProjectSettings()
        self.behaviour = BehaviourOverrides()
        self.created_at = now()
        self.operations = Operations()
        self.lock = threading.RLock()
        self.computes: dict[str, Compute] = {}
        root = Branch(_new_id("br"), "main", storage, default=True)
        self.branches: dict[str, Branch] = {root.id: root}
        self._folder = folder
        self._add_compute(root).attach(storage)

    @property
    def root(self) -> Branch:
        """The default branch, which is a root."""
        return next(branch for branch in self.branches.values() if branch.default)

    def branch(self, branch_id: str) -> Branch:
        """Return a branch.

        Raises:
            NeonApiError: the project has no such branch.
        """
        if branch_id not in self.branches:
            raise NeonApiError(404, "branch not found")
        return self.branches[branch_id]

    def children(self, branch: Branch) -> list[Branch]:
        """Return the branches whose parent this is."""
        return [other for other in self.branches.values() if other.parent_id == branch.id]

    def compute_of(self, branch: Branch) -> Compute | None:
        """Return the compute of a branch, if it has one."""
        return next((compute for compute in self.computes.values() if compute.branch_id == branch.id), None)

    def compute(self, endpoint_id: str) -> Compute:
        """Return a compute.

        Raises:
            NeonApiError: the project has no such endpoint.
        """
        if endpoint_id not in self.computes:
            raise NeonApiError(404, "endpoint not found")
        return self.computes[endpoint_id]

    def create_branch(
        self,
        name: str | None,
        parent: Branch,
        at: Position | None,
        *,
        protected: bool,
        expires_at: datetime | None,
        with_compute: bool,
    ) -> tuple[Branch, Sequence[Operation]]:
        """Create a branch at its parent's head, or at a position in the parent's history."""
        self.refuse_if_locked()
        refuse_child_of(parent)
        if expires_at is not None:
            self._refuse_expiry(expires_at, protected=protected)
        if protected:
            self._require_protected_branch_quota()
        storage = self._unarchive_storage(parent)
        lsn = self._position(parent, at)
        branch = Branch(_new_id("br"), name or "", parent_id=parent.id, protected=protected, expires_at=expires_at)
        branch.name = branch.name or branch.id
        self._require_free_name(branch.name)
        branch.parent_lsn, branch.parent_timestamp = lsn, at if isinstance(at, datetime) else None
        branch.set_state("init", pending="ready")
        self.branches[branch.id] = branch
        passwords = storage.credentials.with_new_passwords() if parent.protected else None

        def make() -> None:
            self._attach_timeline(branch, storage.fork(self._new_folder(), lsn, passwords))

        compute = self._add_compute(branch) if with_compute else None
        return branch, self._add_operations(branch, ("create_branch", make), *_start_actions(compute))

    def restore(
        self, target: Branch, source: Branch, at: Position | None, backup_name: str | None
    ) -> tuple[Branch, Sequence[Operation]]:
        """Replace a branch's state by a source's. A branch named `backup_name` keeps the present state."""
        self.refuse_if_locked()
        children = self.children(target)
        refuse_restore(
            target, source, has_children=bool(children), to_position=at is not None, keeps=backup_name is not None
        )
        if source is not target:
            refuse_child_of(source)
        storage, old = self._unarchive_storage(source), self._unarchive_storage(target)
        lsn = self._position(source, at)
        # Since 2024-09-06, a branch that is restored from a protected one keeps its own passwords.
        kept_passwords = old.credentials.passwords if source is not target and source.protected else {}
        passwords = storage.credentials.with_passwords(kept_passwords)
        if backup_name is not None:
            self._create_backup(target, source, backup_name, children)
        if source is not target:
            target.parent_id = source.id
        if target.parent_id is not None:
            target.parent_lsn, target.parent_timestamp = lsn, at if isinstance(at, datetime) else None
        target.restored_at = now()
        if source is not target or self.behaviour.reports_last_reset:
            target.last_reset_at = target.restored_at
        target.set_state("resetting", pending="ready")
        compute = self.compute_of(target)
        was_active = compute is not None and compute.state == "active"

        def make() -> None:
            self._attach_timeline(target, storage.fork(self._new_folder(), lsn, passwords))
            if backup_name is None:
                old.delete()

        detaching = [("suspend_compute", compute.detach)] if compute is not None else []
        starting = _start_actions(compute) if was_active else []
        operations = self._add_operations(target, *detaching, ("create_timeline", make), *starting)
        return target, (*operations, *self._detach_operation(target))

    def delete_branch(self, branch: Branch) -> Sequence[Operation]:
        """Delete a branch with its compute."""
        self.refuse_if_locked()
        refuse_deletion(branch, has_children=bool(self.children(branch)))
        compute, storage = self.compute_of(branch), self._unarchive_storage(branch)
        del self.branches[branch.id]
        stopping = []
        if compute is not None:
            del self.computes[compute.id]
            stopping = [("suspend_compute", compute.detach), ("suspend_compute", compute.close)]
        return self._add_operations(branch, *stopping, ("delete_timeline", storage.delete))

    def rename(self, branch: Branch, name: str) -> None:
        """Give a branch a name that no other has."""
        if name != branch.name:
            self._require_free_name(name)
        branch.name, branch.updated_at = name, now()

    def protect(self, branch: Branch, *, protected: bool) -> None:
        """Set the protection. Protecting an archived branch unarchives it."""
        if protected and not branch.protected:
            if branch.expires_at is not None:
                raise NeonApiError(422, "a branch that expires can't be protected")
            self._require_protected_branch_quota()
            self._unarchive_storage(branch)
        branch.protected, branch.updated_at = protected, now()

    def expire(self, branch: Branch, at: datetime | None) -> None:
        """Let the branch expire at a time; None: never."""
        if at is not None:
            children = bool(self.children(branch))
            self._refuse_expiry(at, protected=branch.protected, default=branch.default, has_children=children)
        branch.expires_at, branch.updated_at = at, now()

    def archive(self, branch: Branch) -> None:
        """Archive a branch, as Neon does with an unused one that is unprotected and whose children are archived."""
        if branch.protected or any(child.state != "archived" for child in self.children(branch)):
            raise NeonApiError(422, f"{branch.name} can't be archived: it is protected, or a child is not archived")
        compute = self.compute_of(branch)
        if compute is not None:
            compute.suspend()
        branch.set_state("archived")

    def create_compute(self, branch: Branch) -> tuple[Compute, Sequence[Operation]]:
        """Create the compute of a branch that has none."""
        self.refuse_if_locked()
        storage = self._unarchive_storage(branch)
        if self.compute_of(branch) is not None:
            raise NeonApiError(409, "read-write endpoint already exists for this branch")
        compute = self._add_compute(branch)
        compute.attach(storage)
        return compute, self._add_operations(branch, *_start_actions(compute))

    def delete_compute(self, compute: Compute) -> Sequence[Operation]:
        """Delete a compute. The branch and its data stay."""
        self.refuse_if_locked()
        branch = self.branch(compute.branch_id)
        if branch.protected:  # https://neon.com/docs/guides/protected-branches
            raise NeonApiError(422, "cannot delete compute of protected branch")
        del self.computes[compute.id]
        return self._add_operations(branch, ("suspend_compute", compute.detach), ("suspend_compute", compute.close))

    def restart_compute(self, compute: Compute) -> Sequence[Operation]:
        """Suspend a compute and start it again."""
        self.refuse_if_locked()
        restarting = (("suspend_compute", compute.suspend), *_start_actions(compute))
        return self._add_operations(self.branch(compute.branch_id), *restarting)

    def create_database(self, branch: Branch, name: str, owner: str) -> None:
        """Create an empty database."""
        self.refuse_if_locked()
        storage = self._unarchive_storage(branch)
        if name in storage.databases():
            raise NeonApiError(409, f"database {name} already exists")
        if owner not in storage.credentials.passwords:
            raise NeonApiError(404, f"role {owner} not found")
        storage.create_database(name, owner)

    def create_role(self, branch: Branch, role: str) -> str:
        """Create a role with the privileges that Neon's API gives; return its password."""
        self.refuse_if_locked()
        storage = self._unarchive_storage(branch)
        if role in storage.credentials.passwords:
            raise NeonApiError(409, f"role {role} already exists")
        return storage.create_role(role)

    def delete_expired(self) -> None:
        """Delete expired branches, as Neon's background job does."""
        for branch in list(self.branches.values()):
            if branch.expires_at is not None and branch.expires_at <= now():
                with contextlib.suppress(NeonApiError):  # locked, protected or with children: the next call tries again
                    self.delete_branch(branch)

    def close(self) -> None:
        """Stop every server and listener, and remove all data."""
        self.operations.stop()
        for compute in self.computes.values():
            compute.close()
        for branch in self.branches.values():
            if branch.timeline is not None:
                branch.timeline.stop()
        neon_postgres.run("rm", "-rf", self._folder)

    def _create_backup(self, target: Branch, source: Branch, name: str, children: list[Branch]) -> None:
        self._require_free_name(name)
        roots = sum(branch.parent_id is None for branch in self.branches.values())
        if target.parent_id is None and roots >= self.limits.root_branches:
            raise NeonApiError(422, f"root branches limit exceeded: the plan allows {self.limits.root_branches}")
        backup = Branch(_new_id("br"), name, target.timeline, target.parent_id, target.parent_lsn)
        backup.created_at, backup.last_reset_at = target.created_at, target.last_reset_at
        backup.restored_at = target.restored_at
        if target.parent_id is None and source is not target:
            backup.restricted["delete"] = "the backup of a root branch that was restored from another can't be deleted"
        self.branches[backup.id] = backup
        for child in children:
            child.parent_id = backup.id

    def _position(self, branch: Branch, at: Position | None) -> Lsn:
        storage = branch.storage()
        kept_since = now() - timedelta(seconds=self.limits.history_retention_seconds)
        earliest = max(kept_since, branch.history_starts_at)
        if isinstance(at, datetime) and not earliest <= at <= now():
            raise NeonApiError(
                422, f"timestamp is outside the branch's history, which begins at {earliest.isoformat()}"
            )
        try:
            lsn = storage.resolve(at)
        except OutsideHistoryError as error:
            raise NeonApiError(422, f"LSN is outside the branch's history: {error}") from error
        if isinstance(at, Lsn) and kept_since > branch.history_starts_at:
            last_expired = storage.last_commit_before(kept_since)
            if last_expired is not None and lsn <= last_expired:
                raise NeonApiError(422, f"LSN {lsn} is older than the history retention of the project")
        return lsn

    def _attach_timeline(self, branch: Branch, timeline: Timeline) -> None:
        with self.lock:
            branch.timeline = timeline
            branch.set_state("ready")
            compute = self.compute_of(branch)
            if compute is not None:
                compute.attach(timeline)

    def _add_compute(self, branch: Branch) -> Compute:
        compute = Compute(_new_id("ep"), branch.id, now(), self._allow_connection)
        self.computes[compute.id] = compute
        return compute

    def _allow_connection(self, branch_id: str, address: str) -> None:
        branch = self.branches.get(branch_id)
        if branch is None:
            raise ProxyRefusal(ENDPOINT_NOT_FOUND)
        if not self.settings.allows(branch, address):
            raise ProxyRefusal(address_not_allowed(address))
        self._unarchive(branch)

    def _unarchive_storage(self, branch: Branch) -> Timeline:
        """Return a branch's storage. Its use unarchives the branch and its parents up to the root."""
        storage = branch.storage()
        self._unarchive(branch)
        return storage

    def _unarchive(self, branch: Branch | None) -> None:
        while branch is not None:
            if branch.state == "archived":
                branch.set_state("ready")
            branch = self.branches.get(branch.parent_id or "")

    def _detach_operation(self, branch: Branch) -> Sequence[Operation]:
        if not self.behaviour.detach_seconds:
            return ()
        operation = Operation("detach_parent_branch", branch.id, lambda: None, locks=self.behaviour.detach_locks)
        self.operations.add_running(operation, self.behaviour.detach_seconds)
        return (operation,)

    def _refuse_expiry(
        self, at: datetime, *, protected: bool, default: bool = False, has_children: bool = False
    ) -> None:
        if self.behaviour.expiry_refusal is not None:
            raise NeonApiError(422, self.behaviour.expiry_refusal)
        refuse_expiry(at, protected=protected, default=default, has_children=has_children)

    def _require_protected_branch_quota(self) -> None:
        limit = self.limits.protected_branches
        if sum(branch.protected for branch in self.branches.values()) >= limit:
            raise NeonApiError(422, f"protected branches limit exceeded: the plan allows {limit}")

    def _add_operations(self, branch: Branch, *work: tuple[str, Callable[[], None]]) -> Sequence[Operation]:
        compute = self.compute_of(branch)
        endpoint = compute.id if compute is not None else None
        operations = [
            Operation(action, branch.id, do_work, endpoint if action.endswith("_compute") else None)
            for action, do_work in work
        ]
        self.operations.add(operations)
        return operations

    def refuse_if_locked(self) -> None:
        """Refuse a change while an operation locks the project.

        Raises:
            NeonApiError: status 423, in Neon's words.
        """
        if self.operations.is_busy:
            raise NeonApiError(
                423, "project already has running conflicting operations, scheduling of new ones is prohibited"
            )

    def _require_free_name(self, name: str) -> None:
        if any(branch.name == name for branch in self.branches.values()):
            raise NeonApiError(409, f"branch with name {name} already exists")

    def _new_folder(self) -> Path:
        return self._folder / secrets.token_hex(4)


def _start_actions(compute: Compute | None) -> list[tuple[str, Callable[[], None]]]:
    return [] if compute is None else [("start_compute", compute.start)]


def _new_id(kind: str) -> str:
    return f"{kind}-{secrets.token_hex(6)}"
