"""One Neon project: its branches, and what each change does to them.

A change is checked and shows at once; its work is done by operations, and while they run every other change is
answered with 423. What a restore does to the tree is from https://neon.com/docs/introduction/branch-restore: a root
that is restored to its own past stays a root, and so is its backup; a branch restored from another becomes its child;
children of the restored branch move to the backup.
"""

import contextlib
import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from local_cloud import neon_postgres
from local_cloud.neon_branch import Branch, Refusal, refuse_deletion, refuse_restore
from local_cloud.neon_compute import Compute
from local_cloud.neon_operations import Operation, Operations, now
from local_cloud.neon_timeline import OutOfHistory, Timeline
from rollback.model.database_position import Lsn, Position


@dataclass(frozen=True)
class Limits:
    """What the project's plan allows."""

    history_retention_seconds: int = 86_400
    root_branches: int = 5
    subscription_type: str = "launch_v3"


class Project:
    """Thread-safe. `folder` holds the branches' storage; `storage` is the first branch's."""

    def __init__(self, identity: str, folder: Path, storage: Timeline, limits: Limits) -> None:
        self.id = identity
        self.limits = limits
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
        """The default branch."""
        return next(branch for branch in self.branches.values() if branch.default)

    def branch(self, branch_id: str) -> Branch:
        """Raises Refusal: there is none such."""
        if branch_id not in self.branches:
            raise Refusal(404, "branch not found")
        return self.branches[branch_id]

    def children(self, branch: Branch) -> list[Branch]:
        return [other for other in self.branches.values() if other.parent_id == branch.id]

    def compute_of(self, branch: Branch) -> Compute | None:
        return next((compute for compute in self.computes.values() if compute.branch_id == branch.id), None)

    def compute(self, endpoint_id: str) -> Compute:
        """Raises Refusal: there is none such."""
        if endpoint_id not in self.computes:
            raise Refusal(404, "endpoint not found")
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
        """Branch off a parent's head, or off a position in its history."""
        self.refuse_if_locked()
        storage = parent.storage()
        lsn = self._position(parent, at)
        branch = Branch(_new_id("br"), name or "", parent_id=parent.id, protected=protected, expires_at=expires_at)
        branch.name = branch.name or branch.id
        self._refuse_taken(branch.name)
        branch.parent_lsn, branch.parent_timestamp = lsn, at if isinstance(at, datetime) else None
        branch.become("init", pending="ready")
        self.branches[branch.id] = branch
        new_password = parent.protected

        def make() -> None:
            self._move_to(branch, storage.fork(self._new_folder(), lsn, new_password=new_password))

        compute = self._add_compute(branch) if with_compute else None
        return branch, self._do(branch, ("create_branch", make), *_starting(compute))

    def restore(
        self, target: Branch, source: Branch, at: Position | None, keep_as: str | None
    ) -> tuple[Branch, Sequence[Operation]]:
        """Overwrite a branch with a source's state; `keep_as` names the branch that keeps its present one."""
        self.refuse_if_locked()
        children = self.children(target)
        refuse_restore(
            target, source, has_children=bool(children), to_position=at is not None, keeps=keep_as is not None
        )
        storage, old = source.storage(), target.storage()
        lsn = self._position(source, at)
        if keep_as is not None:
            self._keep(target, source, keep_as, children)
        if source is not target:
            target.parent_id = source.id
        if target.parent_id is not None:
            target.parent_lsn, target.parent_timestamp = lsn, at if isinstance(at, datetime) else None
        target.last_reset_at = now()
        target.become("resetting", pending="ready")
        compute = self.compute_of(target)
        was_active = compute is not None and compute.state == "active"

        def make() -> None:
            self._move_to(target, storage.fork(self._new_folder(), lsn, new_password=False))
            if keep_as is None:
                old.delete()

        detaching = [("suspend_compute", compute.detach)] if compute is not None else []
        starting = _starting(compute) if was_active else []
        return target, self._do(target, *detaching, ("create_timeline", make), *starting)

    def delete_branch(self, branch: Branch) -> Sequence[Operation]:
        """Its computes go with it."""
        self.refuse_if_locked()
        refuse_deletion(branch, has_children=bool(self.children(branch)))
        compute, storage = self.compute_of(branch), branch.storage()
        del self.branches[branch.id]
        stopping = []
        if compute is not None:
            del self.computes[compute.id]
            stopping = [("suspend_compute", compute.detach), ("suspend_compute", compute.close)]
        return self._do(branch, *stopping, ("delete_timeline", storage.delete))

    def rename(self, branch: Branch, name: str) -> None:
        if name != branch.name:
            self._refuse_taken(name)
        branch.name, branch.updated_at = name, now()

    def create_compute(self, branch: Branch) -> tuple[Compute, Sequence[Operation]]:
        """A branch has one at most."""
        self.refuse_if_locked()
        storage = branch.storage()
        if self.compute_of(branch) is not None:
            raise Refusal(409, "read-write endpoint already exists for this branch")
        compute = self._add_compute(branch)
        compute.attach(storage)
        return compute, self._do(branch, *_starting(compute))

    def delete_compute(self, compute: Compute) -> Sequence[Operation]:
        """The branch and its data stay."""
        self.refuse_if_locked()
        branch = self.branch(compute.branch_id)
        del self.computes[compute.id]
        return self._do(branch, ("suspend_compute", compute.detach), ("suspend_compute", compute.close))

    def change_compute(self, compute: Compute, verb: str) -> Sequence[Operation]:
        """`start`, `suspend` or `restart`."""
        self.refuse_if_locked()
        suspending = [("suspend_compute", compute.suspend)] if verb in {"suspend", "restart"} else []
        starting = _starting(compute) if verb in {"start", "restart"} else []
        return self._do(self.branch(compute.branch_id), *suspending, *starting)

    def delete_expired(self) -> None:
        """Neon's background job."""
        for branch in list(self.branches.values()):
            if branch.expires_at is not None and branch.expires_at <= now():
                with contextlib.suppress(Refusal):  # locked, protected or with children: it tries again later
                    self.delete_branch(branch)

    def storage_at(self, branch: Branch, at: Position | None) -> tuple[Timeline, bool]:
        """What to read a schema from, and whether it was made for that and is the caller's to delete."""
        storage = branch.storage()
        if at is None:
            return storage, False
        return storage.fork(self._new_folder(), self._position(branch, at), new_password=False), True

    def close(self) -> None:
        """Stop every server and listener, and remove all data."""
        self.operations.stop()
        for compute in self.computes.values():
            compute.close()
        for branch in self.branches.values():
            if branch.timeline is not None:
                branch.timeline.stop()
        neon_postgres.run("rm", "-rf", self._folder)

    def _keep(self, target: Branch, source: Branch, name: str, children: list[Branch]) -> None:
        self._refuse_taken(name)
        roots = sum(branch.parent_id is None for branch in self.branches.values())
        if target.parent_id is None and roots >= self.limits.root_branches:
            raise Refusal(422, f"root branches limit exceeded: the plan allows {self.limits.root_branches}")
        backup = Branch(_new_id("br"), name, target.timeline, target.parent_id, target.parent_lsn)
        backup.created_at, backup.last_reset_at = target.created_at, target.last_reset_at
        if target.parent_id is None and source is not target:
            backup.restricted["delete"] = "the backup of a root branch that was restored from another can't be deleted"
        self.branches[backup.id] = backup
        for child in children:
            child.parent_id = backup.id

    def _position(self, branch: Branch, at: Position | None) -> Lsn:
        storage = branch.storage()
        kept_since = now() - timedelta(seconds=self.limits.history_retention_seconds)
        earliest = max(kept_since, branch.history_begins_at)
        if isinstance(at, datetime) and not earliest <= at <= now():
            raise Refusal(422, f"timestamp is outside the branch's history, which begins at {earliest.isoformat()}")
        try:
            lsn = storage.resolve(at)
        except OutOfHistory as error:
            raise Refusal(422, f"LSN is outside the branch's history: {error}") from error
        if isinstance(at, Lsn) and kept_since > branch.history_begins_at:
            forgotten = storage.last_commit_before(kept_since)
            if forgotten is not None and lsn <= forgotten:
                raise Refusal(422, f"LSN {lsn} is older than the history that is kept")
        return lsn

    def _move_to(self, branch: Branch, timeline: Timeline) -> None:
        with self.lock:
            branch.timeline = timeline
            branch.become("ready")
            compute = self.compute_of(branch)
            if compute is not None:
                compute.attach(timeline)

    def _add_compute(self, branch: Branch) -> Compute:
        compute = Compute(_new_id("ep"), branch.id, now())
        self.computes[compute.id] = compute
        return compute

    def _do(self, branch: Branch, *work: tuple[str, Callable[[], None]]) -> Sequence[Operation]:
        compute = self.compute_of(branch)
        endpoint = compute.id if compute is not None else None
        operations = [
            Operation(action, branch.id, todo, endpoint if action.endswith("_compute") else None)
            for action, todo in work
        ]
        self.operations.add(operations)
        return operations

    def refuse_if_locked(self) -> None:
        """Raises Refusal while an operation of the project is unfinished."""
        if self.operations.is_busy:
            raise Refusal(
                423, "project already has running conflicting operations, scheduling of new ones is prohibited"
            )

    def _refuse_taken(self, name: str) -> None:
        if any(branch.name == name for branch in self.branches.values()):
            raise Refusal(409, f"branch with name {name} already exists")

    def _new_folder(self) -> Path:
        return self._folder / secrets.token_hex(4)


def _starting(compute: Compute | None) -> list[tuple[str, Callable[[], None]]]:
    return [] if compute is None else [("start_compute", compute.start)]


def _new_id(kind: str) -> str:
    return f"{kind}-{secrets.token_hex(6)}"
