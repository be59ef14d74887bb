"""A Neon project in memory; the same contract tests run against the fake and the client on the local Neon."""

from collections.abc import Iterator
from datetime import datetime

from fakes.neon_state import NeonState
from pydantic import SecretStr

from rollback.resources.database.errors import (
    AlreadyExists,
    BackupNameRequired,
    BranchHasChildren,
    BranchProtected,
    NotFound,
    RequestRefused,
)
from rollback.resources.database.neon import Branch, BranchChange, Endpoint, EndpointChange, Operation
from rollback.resources.database.wal_position import Lsn, Position


class FakeNeon(NeonState):
    """The port `NeonProject`; what stands for SQL, for operations' ends and for faults is in the state."""

    def branches(self) -> Iterator[Branch]:
        self._end_by_themselves()
        return iter(tuple(self._branches.values()))

    def branch(self, branch_id: str) -> Branch | None:
        return self._branches.get(branch_id)

    def branch_named(self, name: str) -> Branch | None:
        return next((branch for branch in self._branches.values() if branch.name == name), None)

    def endpoints(self, branch_id: str) -> tuple[Endpoint, ...]:
        self._get(branch_id)
        return tuple(endpoint for endpoint in self._endpoints.values() if endpoint.branch_id == branch_id)

    def operation(self, operation_id: str) -> Operation:
        if operation_id not in self._operations:
            raise NotFound(f"there is no operation {operation_id}")
        operation = self._operations[operation_id]
        if not self._is_paused and operation in self._unfinished():
            self._looked[operation_id] += 1
            if self._looked[operation_id] >= self.looks:
                self._end(operation)
        return self._operations[operation_id]

    def operations_since(self, since: datetime) -> tuple[Operation, ...]:
        floor = since.replace(microsecond=0)
        return tuple(o for o in reversed(self._operations.values()) if o.created_at >= floor)

    def connection_uri(self, branch_id: str, database: str, role: str, *, pooled: bool = False) -> SecretStr:
        endpoints = self.endpoints(branch_id)
        if not endpoints:
            raise NotFound(f"branch {branch_id} has no endpoint")
        self._refuse_unknown(database)
        if role not in self.roles:
            raise NotFound(f"role {role} not found")
        name, _, domain = endpoints[0].host.partition(".")
        host = f"{name}-pooler.{domain}" if pooled else endpoints[0].host
        return SecretStr(f"postgresql://{role}:{self._logs[branch_id].password}@{host}/{database}")

    def addresses(self, branch_id: str) -> Iterator[SecretStr]:
        """Return all addresses on the direct host: a pooler would hide the sessions."""
        if self.endpoints(branch_id):
            for database in self.known_databases:
                yield from (self.connection_uri(branch_id, database, role) for role in self.roles)

    def create_branch(
        self,
        name: str,
        parent_id: str,
        at: Position | None = None,
        *,
        with_endpoint: bool = False,
        protected: bool = False,
        expires_at: datetime | None = None,
    ) -> BranchChange:
        def work() -> BranchChange:
            parent = self._ready(parent_id)
            lsn = self._resolve(parent_id, at)
            self._require_free_name(name)
            self._refuse_child_of(parent)
            if expires_at is not None:
                self._refuse_expiry(expires_at, protected=protected)
            if protected:
                self._require_protected_branch_quota()
            branch = self._new_branch(name, parent_id, protected=protected, expires_at=expires_at, parent_lsn=Lsn(lsn))
            password = self._next("secret") if parent.protected else self._logs[parent_id].password
            self._logs[branch.id] = self._logs[parent_id].forked(lsn, password)
            self._update(branch.id, current_state="init", pending_state="ready")
            endpoints = (self._new_endpoint(branch.id),) if with_endpoint else ()
            start_actions = ("start_compute",) if with_endpoint else ()
            return self._changed(branch.id, endpoints, "create_branch", *start_actions)

        return self._do("create_branch", work)

    def restore(
        self,
        branch_id: str,
        source_branch_id: str,
        at: Position | None = None,
        preserve_under_name: str | None = None,
    ) -> BranchChange:
        def work() -> BranchChange:
            target, source = self._ready(branch_id), self._ready(source_branch_id)
            children = [branch for branch in self._branches.values() if branch.parent_id == branch_id]
            _refuse_restore(target, source, at, preserve_under_name, has_children=bool(children))
            if target is not source:
                self._refuse_child_of(source)
            lsn = self._resolve(source_branch_id, at)
            keeps_its_password = target is not source and source.protected  # since 2024-09-06
            password = self._logs[branch_id if keeps_its_password else source_branch_id].password
            log = self._logs[source_branch_id].forked(lsn, password)
            if preserve_under_name is not None:
                undeletable = target.is_root and target is not source
                self._create_backup(target, preserve_under_name, children, undeletable=undeletable)
            self._logs[branch_id] = log
            parent = {} if target is source else {"parent_id": source.id, "parent_lsn": Lsn(lsn)}
            reset_at = self._clock.now().replace(microsecond=0)
            self._update(branch_id, last_reset_at=reset_at, current_state="resetting", pending_state="ready", **parent)
            return self._changed(branch_id, (), "suspend_compute", "create_timeline", "start_compute")

        return self._do("restore", work)

    def update_branch(self, branch_id: str, *, name: str | None = None, protected: bool | None = None) -> BranchChange:
        def work() -> BranchChange:
            if name is not None and name != self._get(branch_id).name:
                self._require_free_name(name)
            if protected and self._get(branch_id).expires_at is not None:
                raise RequestRefused(f"{branch_id} expires: it can't be protected")
            if protected and not self._get(branch_id).protected:
                self._require_protected_branch_quota()
            values = {"name": name, "protected": protected}
            self._update(branch_id, **{field: value for field, value in values.items() if value is not None})
            return self._changed(branch_id, ())

        return self._do("update_branch", work)

    def expire_branch(self, branch_id: str, at: datetime | None) -> BranchChange:
        def work() -> BranchChange:
            branch = self._get(branch_id)
            if at is not None:
                has_children = any(other_branch.parent_id == branch_id for other_branch in self._branches.values())
                self._refuse_expiry(at, protected=branch.protected, default=branch.default, has_children=has_children)
            self._update(branch_id, expires_at=at.replace(microsecond=0) if at else None)
            return self._changed(branch_id, ())

        return self._do("expire_branch", work)

    def delete_branch(self, branch_id: str) -> BranchChange | None:
        def work() -> BranchChange | None:
            branch = self._branches.get(branch_id)
            if branch is None:
                return None
            if branch.protected:
                raise BranchProtected(f"{branch.name} is protected")
            if branch.default or branch.why_not("delete"):
                raise RequestRefused(f"{branch.name} can't be deleted")
            if any(other_branch.parent_id == branch_id for other_branch in self._branches.values()):
                raise BranchHasChildren(f"{branch.name} has children")
            del self._branches[branch_id]
            self._endpoints = {e.id: e for e in self._endpoints.values() if e.branch_id != branch_id}
            return BranchChange(branch=branch, operations=self._begin(branch_id, "delete_timeline"))

        return self._do("delete_branch", work)

    def create_endpoint(self, branch_id: str) -> EndpointChange:
        def work() -> EndpointChange:
            self._ready(branch_id)
            if self.endpoints(branch_id):
                raise AlreadyExists(f"{branch_id} has an endpoint")
            return EndpointChange(
                endpoint=self._new_endpoint(branch_id), operations=self._begin(branch_id, "start_compute")
            )

        return self._do("create_endpoint", work)

    def delete_endpoint(self, endpoint_id: str) -> EndpointChange | None:
        def work() -> EndpointChange | None:
            endpoint = self._endpoints.get(endpoint_id)
            if endpoint is None:
                return None
            if self._branches[endpoint.branch_id].protected:  # https://neon.com/docs/guides/protected-branches
                raise BranchProtected(f"branch {endpoint.branch_id} is protected: its compute can't be deleted")
            del self._endpoints[endpoint_id]
            return EndpointChange(endpoint=endpoint, operations=self._begin(endpoint.branch_id, "suspend_compute"))

        return self._do("delete_endpoint", work)

    def restart_endpoint(self, endpoint_id: str) -> EndpointChange:
        def work() -> EndpointChange:
            if endpoint_id not in self._endpoints:
                raise NotFound(f"there is no endpoint {endpoint_id}")
            endpoint = self._endpoints[endpoint_id]
            operations = self._begin(endpoint.branch_id, "suspend_compute", "start_compute")
            return EndpointChange(endpoint=endpoint, operations=operations)

        return self._do("restart_endpoint", work)


def _refuse_restore(
    target: Branch, source: Branch, at: Position | None, backup_name: str | None, *, has_children: bool
) -> None:
    if target.protected:
        raise BranchProtected(f"{target.name} is protected")
    if target.why_not("restore"):
        raise RequestRefused(f"{target.name} can't be restored")
    if target is source and at is None:
        raise RequestRefused("a position is required")
    if (target is source or has_children) and backup_name is None:
        raise BackupNameRequired("preserve_under_name is required")
    if at is not None and not source.is_root:
        raise RequestRefused(f"{source.name} is no root")
