"""Routes of Neon's API v2, for the calls that the rollback makes."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from local_cloud.neon import postgres as neon_postgres
from local_cloud.neon.answers import (
    Json,
    branch_answer,
    database_answer,
    endpoint_answer,
    operation_answer,
    project_answer,
    role_answer,
)
from local_cloud.neon.branch import Branch, NeonApiError
from local_cloud.neon.cluster import DATABASE
from local_cloud.neon.operations import Operation
from local_cloud.neon.project import Project
from rollback.resources.database.wal_position import Lsn, Position

_MOST = 10_000


@dataclass(frozen=True)
class NeonRequest:
    """A request to one project.

    Attributes:
        ids: ids in the path, by parameter.
    """

    project: Project
    ids: Mapping[str, str]
    query: Mapping[str, str]
    body: Json

    @property
    def branch(self) -> Branch:
        """The branch in the path."""
        return self.project.branch(self.ids["branch_id"])


Answer = tuple[int, Json | None]
Route = Callable[[NeonRequest], Answer]


def answer(project: Project, method: str, path: str, query: Mapping[str, str], body: Json) -> Answer:
    """Return status and JSON for a request. `path` is below the project's, without a slash at its end.

    Raises:
        NeonApiError: the answer is an error.
    """
    with project.lock:
        project.delete_expired()
        for route_method, pattern, route in _ROUTES:
            match = pattern.fullmatch(path)
            if match is not None and route_method == method:
                return route(NeonRequest(project, match.groupdict(), query, body))
    raise NeonApiError(404, f"the local Neon has no {method} {path}")


def _get_project(request: NeonRequest) -> Answer:
    return 200, {"project": project_answer(request.project, neon_postgres.VERSION)}


def _list_branches(request: NeonRequest) -> Answer:
    searched = request.query.get("search", "")
    key = request.query.get("sort_by", "updated_at")
    newest_first = request.query.get("sort_order", "desc") == "desc"
    branches = [b for b in request.project.branches.values() if searched in b.name or searched in b.id]
    branches.sort(key=lambda branch: (getattr(branch, key), branch.id), reverse=newest_first)
    page, cursor = _page(branches, request.query)
    pagination = {"sort_by": key, "sort_order": "desc" if newest_first else "asc"}
    return 200, {
        "branches": [branch_answer(request.project, branch) for branch in page],
        "annotations": {},
        "pagination": {**pagination, "next": cursor} if cursor else pagination,
    }


def _get_branch(request: NeonRequest) -> Answer:
    shown = branch_answer(request.project, request.branch)
    annotation = {"object": {"type": "console/branch", "id": request.branch.id}, "value": {}}
    return 200, {"branch": shown, "annotation": annotation}


def _create_branch(request: NeonRequest) -> Answer:
    settings, project = request.body.get("branch", {}), request.project
    parent = project.branch(settings["parent_id"]) if settings.get("parent_id") else project.root
    branch, operations = project.create_branch(
        settings.get("name"),
        parent,
        _position(settings, "parent_"),
        protected=settings.get("protected", False),
        expires_at=_time(settings.get("expires_at")),
        with_compute=bool(request.body.get("endpoints")),
    )
    compute = project.compute_of(branch)
    endpoints = [endpoint_answer(project, compute)] if compute is not None else []
    return 201, {
        **_branch_with_operations(request, branch, operations),
        "endpoints": endpoints,
        "roles": [],
        "databases": [],
    }


def _update_branch(request: NeonRequest) -> Answer:
    branch, changes = request.branch, request.body["branch"]
    request.project.refuse_if_locked()
    if "name" in changes:
        request.project.rename(branch, changes["name"])
    if "protected" in changes:
        request.project.protect(branch, protected=changes["protected"])
    if "expires_at" in changes:
        request.project.expire(branch, _time(changes["expires_at"]))
    return 200, _branch_with_operations(request, branch, [])


def _delete_branch(request: NeonRequest) -> Answer:
    if request.ids["branch_id"] not in request.project.branches:
        return 204, None
    branch = request.branch
    return 200, _branch_with_operations(request, branch, request.project.delete_branch(branch))


def _restore(request: NeonRequest) -> Answer:
    source = request.project.branch(request.body["source_branch_id"])
    backup_name = request.body.get("preserve_under_name") or None
    branch, operations = request.project.restore(
        request.branch, source, _position(request.body, "source_"), backup_name
    )
    return 200, _branch_with_operations(request, branch, operations)


def _list_endpoints(request: NeonRequest) -> Answer:
    compute = request.project.compute_of(request.branch)
    return 200, {"endpoints": [endpoint_answer(request.project, compute)] if compute is not None else []}


def _create_endpoint(request: NeonRequest) -> Answer:
    branch = request.project.branch(request.body["endpoint"]["branch_id"])
    compute, operations = request.project.create_compute(branch)
    return 201, {
        "endpoint": endpoint_answer(request.project, compute),
        "operations": _operation_answers(request, operations),
    }


def _restart_endpoint(request: NeonRequest) -> Answer:
    compute = request.project.compute(request.ids["endpoint_id"])
    operations = request.project.restart_compute(compute)
    return 200, {
        "endpoint": endpoint_answer(request.project, compute),
        "operations": _operation_answers(request, operations),
    }


def _delete_endpoint(request: NeonRequest) -> Answer:
    if request.ids["endpoint_id"] not in request.project.computes:
        return 204, None
    compute = request.project.compute(request.ids["endpoint_id"])
    operations = request.project.delete_compute(compute)
    return 200, {
        "endpoint": endpoint_answer(request.project, compute),
        "operations": _operation_answers(request, operations),
    }


def _list_operations(request: NeonRequest) -> Answer:
    page, cursor = _page(list(reversed(request.project.operations.all)), request.query)
    pagination = {"pagination": {"cursor": cursor}} if cursor else {}
    return 200, {"operations": _operation_answers(request, page), **pagination}


def _get_operation(request: NeonRequest) -> Answer:
    for operation in request.project.operations.all:
        if operation.id == request.ids["operation_id"]:
            return 200, {"operation": operation_answer(request.project, operation)}
    raise NeonApiError(404, "operation not found")


def _connection_uri(request: NeonRequest) -> Answer:
    branch = request.project.branch(request.query["branch_id"])
    compute, storage = request.project.compute_of(branch), branch.storage()
    if compute is None:
        raise NeonApiError(404, "the branch has no read-write endpoint")
    role, database = request.query["role_name"], request.query["database_name"]
    password = storage.credentials.passwords.get(role)
    if password is None:  # a role made by SQL: Neon does not publish whether its API returns the password
        raise NeonApiError(404, f"role {role} not found")
    if database != DATABASE and database not in storage.databases():
        raise NeonApiError(404, f"database {database} not found")
    user = f"{role}:{quote(password, safe='')}"
    if request.query.get("pooled") == "true":
        return 200, {"uri": f"postgresql://{user}@{compute.pooled_host}/{database}?{compute.pooled_query}"}
    return 200, {"uri": f"postgresql://{user}@{compute.address}/{database}"}


def _list_databases(request: NeonRequest) -> Answer:
    owners = request.branch.storage().databases()
    return 200, {"databases": [database_answer(request.branch, name, owner) for name, owner in owners.items()]}


def _create_database(request: NeonRequest) -> Answer:
    settings = request.body["database"]
    request.project.create_database(request.branch, settings["name"], settings["owner_name"])
    answer = database_answer(request.branch, settings["name"], settings["owner_name"])
    return 201, {"database": answer, "operations": []}


def _list_roles(request: NeonRequest) -> Answer:
    roles = request.branch.storage().credentials.passwords
    return 200, {"roles": [role_answer(request.branch, role) for role in roles]}


def _create_role(request: NeonRequest) -> Answer:
    role = request.body["role"]["name"]
    password = request.project.create_role(request.branch, role)
    return 201, {"role": role_answer(request.branch, role, password), "operations": []}


def _branch_with_operations(request: NeonRequest, branch: Branch, operations: Sequence[Operation]) -> Json:
    return {"branch": branch_answer(request.project, branch), "operations": _operation_answers(request, operations)}


def _operation_answers(request: NeonRequest, operations: Sequence[Operation]) -> list[Json]:
    return [operation_answer(request.project, operation) for operation in operations]


def _page(items: Sequence[Any], query: Mapping[str, str]) -> tuple[Sequence[Any], str | None]:
    """Return the page after the cursor, and the next cursor. A cursor is the id of the last item on its page."""
    ids = [item.id for item in items]
    begin = ids.index(query["cursor"]) + 1 if query.get("cursor") in ids else 0
    page = items[begin : begin + int(query.get("limit", _MOST))]
    return page, page[-1].id if page and page[-1] is not items[-1] else None


def _position(parameters: Mapping[str, Any], prefix: str) -> Position | None:
    lsn, at = parameters.get(f"{prefix}lsn"), parameters.get(f"{prefix}timestamp")
    if lsn and at:
        raise NeonApiError(400, f"{prefix}lsn and {prefix}timestamp exclude each other: send one of them")
    try:
        return Lsn.parse(lsn) if lsn else _time(at)
    except ValueError as error:
        raise NeonApiError(400, str(error)) from error


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _route(method: str, path: str, answered_by: Route) -> tuple[str, re.Pattern[str], Route]:
    return method, re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[a-z0-9-]+)", path)), answered_by


_ROUTES = (
    _route("GET", "", _get_project),
    _route("GET", "/branches", _list_branches),
    _route("POST", "/branches", _create_branch),
    _route("GET", "/branches/{branch_id}", _get_branch),
    _route("PATCH", "/branches/{branch_id}", _update_branch),
    _route("DELETE", "/branches/{branch_id}", _delete_branch),
    _route("POST", "/branches/{branch_id}/restore", _restore),
    _route("GET", "/branches/{branch_id}/endpoints", _list_endpoints),
    _route("GET", "/branches/{branch_id}/databases", _list_databases),
    _route("POST", "/branches/{branch_id}/databases", _create_database),
    _route("GET", "/branches/{branch_id}/roles", _list_roles),
    _route("POST", "/branches/{branch_id}/roles", _create_role),
    _route("POST", "/endpoints", _create_endpoint),
    _route("DELETE", "/endpoints/{endpoint_id}", _delete_endpoint),
    _route("POST", "/endpoints/{endpoint_id}/restart", _restart_endpoint),
    _route("GET", "/operations", _list_operations),
    _route("GET", "/operations/{operation_id}", _get_operation),
    _route("GET", "/connection_uri", _connection_uri),
)
