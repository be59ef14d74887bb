"""Neon's API v2 (https://api-docs.neon.tech/reference): branches, computes and operations of a project.

`bootstrap` imports this module late, since httpx takes a while to load. No method waits for an operation of Neon.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TypeVar
from urllib.parse import quote

from pydantic import SecretStr, ValidationError

from rollback.adapters.neon.http import Json, NeonHttp, Query
from rollback.errors import ExternalServiceError
from rollback.resources.database.errors import NotFound, OutcomeUnknown
from rollback.resources.database.neon import Branch, BranchChange, Endpoint, EndpointChange, Operation, Project
from rollback.resources.database.wal_position import Lsn, Position, rfc3339

_PAGE = 100
_Answer = TypeVar("_Answer", BranchChange, EndpointChange)


class NeonDatabases:
    """Adapter for one project."""

    def __init__(self, http: NeonHttp, project_id: str) -> None:
        self._http = http
        self._project = f"/projects/{quote(project_id, safe='')}"

    def project(self) -> Project:
        """GET /projects/{id}."""
        answer = self._http.read(self._project)
        with _translate_parse_errors(self._project):
            return Project.of_answer(answer["project"])

    def branches(self) -> Iterator[Branch]:
        """GET …/branches, page by page."""
        return self._branches({})

    def branch(self, branch_id: str) -> Branch | None:
        """GET …/branches/{id}; Neon answers 404 for a deleted branch."""
        path = self._path("branches", branch_id)
        try:
            answer = self._http.read(path)
        except NotFound:
            return None
        with _translate_parse_errors(path):
            return Branch.model_validate(answer["branch"])

    def branch_named(self, name: str) -> Branch | None:
        """GET …/branches with `search`, which matches a part of the name, and compare the whole name."""
        return next((branch for branch in self._branches({"search": name}) if branch.name == name), None)

    def endpoints(self, branch_id: str) -> tuple[Endpoint, ...]:
        """GET …/branches/{id}/endpoints."""
        path = f"{self._path('branches', branch_id)}/endpoints"
        answer = self._http.read(path)
        with _translate_parse_errors(path):
            return tuple(Endpoint.model_validate(endpoint) for endpoint in answer["endpoints"])

    def operation(self, operation_id: str) -> Operation:
        """GET …/operations/{id}."""
        path = self._path("operations", operation_id)
        answer = self._http.read(path)
        with _translate_parse_errors(path):
            return Operation.model_validate(answer["operation"])

    def operations_since(self, since: datetime) -> tuple[Operation, ...]:
        """GET …/operations, newest first, until an operation is older."""
        path, query = f"{self._project}/operations", dict[str, str | int | bool](limit=_PAGE)
        since = since.replace(microsecond=0)  # Neon's times have whole seconds
        operations: list[Operation] = []
        while True:
            answer = self._http.read(path, query)
            with _translate_parse_errors(path):
                page = [Operation.model_validate(operation) for operation in answer["operations"]]
            operations += [operation for operation in page if operation.created_at >= since]
            cursor = (answer.get("pagination") or {}).get("cursor")
            if not page or page[-1].created_at < since or cursor in {None, query.get("cursor")}:
                return tuple(operations)
            query["cursor"] = cursor

    def connection_uri(self, branch_id: str, database: str, role: str, *, pooled: bool = False) -> SecretStr:
        """GET …/connection_uri. The role's password changes when a branch is created from a protected parent."""
        path = f"{self._project}/connection_uri"
        query: Query = {"branch_id": branch_id, "database_name": database, "role_name": role, "pooled": pooled}
        answer = self._http.read(path, query)
        with _translate_parse_errors(path):
            return SecretStr(answer["uri"])

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
        """POST …/branches."""
        branch: Json = {"name": name, "parent_id": parent_id, **_position_query("parent_", at)}
        if protected:
            branch["protected"] = True
        if expires_at is not None:
            branch["expires_at"] = _whole_seconds(expires_at)
        body: Json = {"branch": branch}
        if with_endpoint:
            body["endpoints"] = [{"type": "read_write"}]
        return self._change("POST", f"{self._project}/branches", body)

    def restore(
        self,
        branch_id: str,
        source_branch_id: str,
        at: Position | None = None,
        preserve_under_name: str | None = None,
    ) -> BranchChange:
        """POST …/branches/{id}/restore."""
        body: Json = {"source_branch_id": source_branch_id, **_position_query("source_", at)}
        if preserve_under_name is not None:
            body["preserve_under_name"] = preserve_under_name
        return self._change("POST", f"{self._path('branches', branch_id)}/restore", body)

    def update_branch(self, branch_id: str, *, name: str | None = None, protected: bool | None = None) -> BranchChange:
        """PATCH …/branches/{id}."""
        fields = {"name": name, "protected": protected}
        changes = {field: value for field, value in fields.items() if value is not None}
        return self._change("PATCH", self._path("branches", branch_id), {"branch": changes})

    def expire_branch(self, branch_id: str, at: datetime | None) -> BranchChange:
        """PATCH …/branches/{id} with `expires_at`."""
        until = None if at is None else _whole_seconds(at)
        return self._change("PATCH", self._path("branches", branch_id), {"branch": {"expires_at": until}})

    def delete_branch(self, branch_id: str) -> BranchChange | None:
        """DELETE …/branches/{id}; Neon answers 204 for a deleted branch."""
        path = self._path("branches", branch_id)
        answer = self._http.change("DELETE", path)
        return _parse_change(BranchChange, f"DELETE {path}", answer) if answer else None

    def create_endpoint(self, branch_id: str) -> EndpointChange:
        """POST …/endpoints."""
        body: Json = {"endpoint": {"branch_id": branch_id, "type": "read_write"}}
        path = f"{self._project}/endpoints"
        return _parse_change(EndpointChange, f"POST {path}", self._http.change("POST", path, body))

    def delete_endpoint(self, endpoint_id: str) -> EndpointChange | None:
        """DELETE …/endpoints/{id}."""
        path = self._path("endpoints", endpoint_id)
        try:
            answer = self._http.change("DELETE", path)
        except NotFound:
            return None
        return _parse_change(EndpointChange, f"DELETE {path}", answer) if answer else None

    def restart_endpoint(self, endpoint_id: str) -> EndpointChange:
        """POST …/endpoints/{id}/restart."""
        path = f"{self._path('endpoints', endpoint_id)}/restart"
        return _parse_change(EndpointChange, f"POST {path}", self._http.change("POST", path))

    def _path(self, collection: str, identity: str) -> str:
        return f"{self._project}/{collection}/{quote(identity, safe='')}"

    def _branches(self, filters: Query) -> Iterator[Branch]:
        path, query = f"{self._project}/branches", {**filters, "limit": _PAGE}
        while True:
            answer = self._http.read(path, query)
            with _translate_parse_errors(path):
                page = [Branch.model_validate(branch) for branch in answer["branches"]]
            yield from page
            cursor = (answer.get("pagination") or {}).get("next")
            if not page or cursor in {None, "", query.get("cursor")}:
                return
            query["cursor"] = cursor

    def _change(self, method: str, path: str, body: Json) -> BranchChange:
        return _parse_change(BranchChange, f"{method} {path}", self._http.change(method, path, body))


def _position_query(prefix: str, position: Position | None) -> dict[str, str]:
    if position is None:
        return {}
    if isinstance(position, Lsn):
        return {f"{prefix}lsn": str(position)}
    return {f"{prefix}timestamp": rfc3339(position)}


def _whole_seconds(at: datetime) -> str:
    return rfc3339(at.replace(microsecond=0)).replace(".000", "")  # Neon takes no fractions for `expires_at`


def _parse_change(view: type[_Answer], request: str, answer: Json) -> _Answer:
    try:
        return view.model_validate(answer)
    except ValidationError as error:
        raise OutcomeUnknown(
            f"Neon accepted {request}, but the answer can't be read: {_describe_fields(error)}"
        ) from error


@contextmanager
def _translate_parse_errors(request: str) -> Iterator[None]:
    try:
        yield
    except ValidationError as error:
        raise ExternalServiceError(f"Neon's answer for {request} can't be read: {_describe_fields(error)}") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise ExternalServiceError(f"Neon's answer for {request} can't be read: no {error}") from error


def _describe_fields(error: ValidationError) -> str:
    """Name the fields that don't fit the model, without their values, since some are secret."""
    return "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
