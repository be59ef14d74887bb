"""State of the fake Neon: branches with their data, computes, operations and injected faults."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

from fakes.clock import FakeClock

from rollback.errors import ExternalServiceError
from rollback.resources.database.errors import (
    AlreadyExists,
    BranchNotReady,
    NotFound,
    OutcomeUnknown,
    ProjectLocked,
    RequestRefused,
)
from rollback.resources.database.live_schema import LiveSchema
from rollback.resources.database.migration_journal import Migration
from rollback.resources.database.neon import (
    AllowedIps,
    Branch,
    BranchChange,
    Endpoint,
    Operation,
    Project,
    ProjectSettings,
    RestrictedAction,
    restore_window,
)
from rollback.resources.database.wal_position import Lsn, Position

_END_UNSEEN_AFTER = timedelta(seconds=45)
_UNFINISHED = frozenset({"scheduling", "running"})
_Result = TypeVar("_Result")
_TIMELINES = itertools.count(1)  # each restore gives a branch another one


@dataclass(frozen=True)
class MigratedState:
    """Content of the database after a migration, as SQL reads it."""

    tables: LiveSchema
    journal: tuple[Migration, ...] | None


@dataclass
class Log:
    """History of a branch since its creation or restore; entries are (lsn, time, row or migrated state)."""

    begin: int = 100
    start: tuple[object, ...] = ()
    entries: list[tuple[int, datetime, object]] = field(default_factory=list)
    password: str = "secret-1"
    timeline: str = field(default_factory=lambda: f"{next(_TIMELINES):032x}")

    @property
    def head(self) -> int:
        return self.entries[-1][0] if self.entries else self.begin

    def state(self, at: int | None = None) -> tuple[object, ...]:
        limit = self.head if at is None else at
        return self.start + tuple(entry for lsn, _, entry in self.entries if lsn <= limit)

    def forked(self, at: int, password: str) -> "Log":
        return Log(begin=at, start=self.state(at), password=password)


class NeonState:
    """Changes apply at once; an operation locks the project until `looks` reads have described it."""

    def __init__(self, clock: FakeClock, looks: int = 1) -> None:
        self.looks = looks
        self.root_branch_limit = 5
        self.subscription_type: str | None = None  # None: the plan that allows so many
        self.protected_branch_limit = 5
        self.expiry_refusal: str | None = None  # why, as with the Data API
        self.allowed_ips: AllowedIps | None = None
        self.retention_seconds = 86_400
        self.known_databases = {"app", "neondb"}
        self.roles = {"app_owner", "neondb_owner", "owner"}
        self.calls: list[str] = []
        self._clock = clock
        self._branches: dict[str, Branch] = {}
        self._logs: dict[str, Log] = {}
        self._endpoints: dict[str, Endpoint] = {}
        self._operations: dict[str, Operation] = {}
        self._looked: dict[str, int] = {}
        self._count = 0
        self._is_paused = False
        self._failing: list[str] = []
        self._lost: list[str] = []
        self._refusing: list[tuple[str, ExternalServiceError]] = []
        main = self._new_branch("main", None, default=True)
        self._logs[main.id] = Log()
        self._new_endpoint(main.id)

    def write(self, branch_id: str, row: int) -> None:
        self._append(branch_id, row)

    def rows(self, branch_id: str) -> list[int]:
        return [entry for entry in self._logs[branch_id].state() if isinstance(entry, int)]

    def migrate(self, branch_id: str, tables: LiveSchema, journal: tuple[Migration, ...] | None = None) -> None:
        self._append(branch_id, MigratedState(tables, journal))

    def migrated_state(self, branch_id: str) -> MigratedState:
        states = [entry for entry in self._logs[branch_id].state() if isinstance(entry, MigratedState)]
        return states[-1] if states else MigratedState(LiveSchema(tables={}), None)

    def position(self, branch_id: str) -> tuple[Lsn, datetime]:
        """Return the head of the log and the database's clock."""
        self._clock.pass_time(milliseconds=10)
        now = self._clock.now()
        self._clock.pass_time(milliseconds=10)
        return Lsn(self._logs[branch_id].head), now

    def timeline(self, branch_id: str) -> str:
        """Return the answer of `SHOW neon.timeline_id`."""
        return self._logs[branch_id].timeline

    def restrict(self, branch_id: str, action: str, reason: str) -> None:
        self._update(branch_id, restricted_actions=(RestrictedAction(name=action, reason=reason),))

    def settle(self) -> None:
        """Let all operations end."""
        while unfinished := self._unfinished():
            self._end(unfinished[0])

    @contextmanager
    def hold_operations(self) -> Iterator[None]:
        """Keep all operations unfinished."""
        self._is_paused = True
        yield
        self._is_paused = False

    def fail_next(self, action: str) -> None:
        self._failing.append(action)

    def lose_next(self, call: str) -> None:
        """Carry the next such call out and lose its answer."""
        self._lost.append(call)

    def refuse_next(self, call: str, error: ExternalServiceError) -> None:
        """Refuse the next such call."""
        self._refusing.append((call, error))

    def project(self) -> Project:
        plan = self.subscription_type or {3: "free_v3", 5: "launch_v3", 25: "scale_v3"}[self.root_branch_limit]
        seconds, settings = self.retention_seconds, ProjectSettings(allowed_ips=self.allowed_ips)
        return Project(
            id="fake", name="fake", history_retention_seconds=seconds, subscription_type=plan, settings=settings
        )

    def _do(self, call: str, work: Callable[[], _Result]) -> _Result:
        """Carry a change out as Neon does, or inject the fault that the test ordered."""
        self.calls.append(call)
        for refusal in self._refusing:
            if refusal[0] == call:
                self._refusing.remove(refusal)
                raise refusal[1]
        self._end_by_themselves()
        if self._unfinished():
            raise ProjectLocked(f"{call}: the project has running operations")
        result = work()
        if call in self._lost:
            self._lost.remove(call)
            raise OutcomeUnknown(f"{call} got no answer")
        return result

    def _append(self, branch_id: str, entry: object) -> None:
        log = self._logs[branch_id]
        log.entries.append((log.head + 10, self._clock.now(), entry))

    def _get(self, branch_id: str) -> Branch:
        if branch_id not in self._branches:
            raise NotFound(f"there is no branch {branch_id}")
        return self._branches[branch_id]

    def _ready(self, branch_id: str) -> Branch:
        branch = self._get(branch_id)
        if not branch.is_ready:
            raise BranchNotReady(f"{branch.name} is {branch.current_state}")
        return branch

    def _resolve(self, branch_id: str, at: Position | None) -> int:
        log, window = self._logs[branch_id], restore_window(self.project(), self._get(branch_id), self._clock.now())
        lsns = [lsn for lsn, written_at, _ in log.entries if written_at < window.earliest]
        if at is None:
            return log.head
        if isinstance(at, Lsn):
            if not max([log.begin, *lsns]) <= at.number <= log.head:
                raise RequestRefused(f"{at} is outside the history of {branch_id}")
            return at.number
        if not window.earliest <= at <= window.latest:
            raise RequestRefused(f"{at} is outside the history of {branch_id}")
        return max([log.begin, *(lsn for lsn, written_at, _ in log.entries if written_at <= at)])

    def _refuse_unknown(self, database: str) -> None:
        if database not in self.known_databases:
            raise NotFound(f"database {database} not found")

    def _refuse_expiry(
        self, at: datetime, *, protected: bool, default: bool = False, has_children: bool = False
    ) -> None:
        """Refuse an expiry as Neon does (documentation, "Branch expiration", requirements and restrictions)."""
        if self.expiry_refusal is not None:
            raise RequestRefused(self.expiry_refusal)
        if not self._clock.now() < at <= self._clock.now() + timedelta(days=30):
            raise RequestRefused("expires_at must be in the future, and within 30 days")
        if protected or default or has_children:
            raise RequestRefused("a branch that is protected, the default, or has children can't expire")

    def _require_protected_branch_quota(self) -> None:
        """Check the limit of Neon's documentation, "Protected branches": 2 on the plan Launch, 5 on Scale."""
        if sum(branch.protected for branch in self._branches.values()) >= self.protected_branch_limit:
            raise RequestRefused("protected branches limit exceeded")

    @staticmethod
    def _refuse_child_of(parent: Branch) -> None:
        """Refuse a child of a branch that expires (Neon documentation, "Branch expiration")."""
        if parent.expires_at is not None:
            raise RequestRefused(f"{parent.name} expires: it can't have children")

    def _require_free_name(self, name: str) -> None:
        if any(branch.name == name for branch in self._branches.values()):
            raise AlreadyExists(f"there is a branch {name}")

    def _create_backup(self, target: Branch, name: str, children: list[Branch], *, undeletable: bool) -> None:
        self._require_free_name(name)
        roots = sum(branch.is_root for branch in self._branches.values())
        if target.is_root and roots >= self.root_branch_limit:
            raise RequestRefused("root branches limit exceeded")
        backup = self._new_branch(name, target.parent_id, parent_lsn=target.parent_lsn)
        self._update(backup.id, created_at=target.created_at, last_reset_at=target.last_reset_at)
        self._logs[backup.id] = self._logs[target.id]
        if undeletable:
            self.restrict(backup.id, "delete", "the backup of a root that was restored from another")
        for child in children:
            self._update(child.id, parent_id=backup.id)

    def _new_branch(self, name: str, parent_id: str | None, **changes: Any) -> Branch:
        now = self._clock.now().replace(microsecond=0)
        fields = {"default": False, "protected": False, "current_state": "ready", **changes}
        branch = Branch(id=self._next("br"), name=name, parent_id=parent_id, created_at=now, updated_at=now, **fields)
        self._branches[branch.id] = branch
        return branch

    def _new_endpoint(self, branch_id: str) -> Endpoint:
        identity = self._next("ep")
        host = f"{identity}.test"
        endpoint = Endpoint(id=identity, branch_id=branch_id, host=host, type="read_write", current_state="idle")
        self._endpoints[identity] = endpoint
        return endpoint

    def _begin(self, branch_id: str, *actions: str) -> tuple[Operation, ...]:
        now = self._clock.now().replace(microsecond=0)
        operations = tuple(
            Operation(
                id=self._next("op"),
                action=action,
                status="running",
                branch_id=branch_id,
                created_at=now,
                updated_at=now,
            )
            for action in actions
        )
        for operation in operations:
            self._operations[operation.id], self._looked[operation.id] = operation, 0
        return operations

    def _changed(self, branch_id: str, endpoints: tuple[Endpoint, ...], *actions: str) -> BranchChange:
        operations = self._begin(branch_id, *actions)
        return BranchChange(branch=self._branches[branch_id], endpoints=endpoints, operations=operations)

    def _end(self, operation: Operation) -> None:
        is_failure = operation.action in self._failing
        if is_failure:
            self._failing.remove(operation.action)
        changes = (
            {"status": "failed", "error": "made to fail", "failures_count": 1} if is_failure else {"status": "finished"}
        )
        now = self._clock.now().replace(microsecond=0)
        self._operations[operation.id] = operation.model_copy(update={**changes, "updated_at": now})
        branch_id = operation.branch_id or ""
        if is_failure:
            for other_operation in self._unfinished():
                self._operations[other_operation.id] = other_operation.model_copy(
                    update={"status": "cancelled", "updated_at": now}
                )
        elif branch_id in self._branches and operation.action in {"create_branch", "create_timeline"}:
            self._update(branch_id, current_state="ready", pending_state=None)
        self._set_endpoints(branch_id, {"start_compute": "active", "suspend_compute": "idle"}.get(operation.action))

    def _end_by_themselves(self) -> None:
        """End operations that were never read, unless `hold_operations` holds them."""
        for operation in [] if self._is_paused else self._unfinished():
            if self._clock.now() - operation.created_at > _END_UNSEEN_AFTER:
                self._end(operation)

    def _set_endpoints(self, branch_id: str, state: str | None) -> None:
        for endpoint in tuple(self._endpoints.values()):
            if state is not None and endpoint.branch_id == branch_id:
                self._endpoints[endpoint.id] = endpoint.model_copy(update={"current_state": state})

    def _unfinished(self) -> list[Operation]:
        return [operation for operation in self._operations.values() if operation.status in _UNFINISHED]

    def _update(self, branch_id: str, **changes: Any) -> None:
        now = self._clock.now().replace(microsecond=0)
        self._branches[branch_id] = self._get(branch_id).model_copy(update={"updated_at": now, **changes})

    def _next(self, kind: str) -> str:
        self._count += 1
        return f"{kind}-{self._count}"
