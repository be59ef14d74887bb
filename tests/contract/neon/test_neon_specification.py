"""Every request our client sends and every answer it reads, against Neon's own API specification.

The specification lies beside the project, not in it: without it there is nothing to compare with.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from contract.neon_projects import LocalProject
from openapi_schema_validator import OAS30Validator

from local_cloud.neon.server import ROLE, LocalNeon
from rollback.ports.neon import NeonProject
from rollback.resources.database.errors import BackupNameRequired

SPECIFICATION = Path(__file__).parents[4] / "shared" / "contracts" / "neon-openapi-subset.json"
pytestmark = pytest.mark.skipif(
    not SPECIFICATION.exists(), reason="Neon's API specification is not beside the project (../shared/contracts)"
)


@dataclass(frozen=True)
class Exchange:
    """One request and its answer."""

    method: str
    path: str
    query: Mapping[str, str]
    body: Any
    status: int
    answer: Any


class Specification:
    """The document with all references resolved."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        self._paths = {
            re.compile(re.sub(r"\{\w+\}", "[^/]+", path)): self.resolved(operations)
            for path, operations in document["paths"].items()
        }

    def resolved(self, part: Any) -> Any:
        if isinstance(part, dict) and "$ref" in part:
            target: Any = self._document
            for name in part["$ref"].removeprefix("#/").split("/"):
                target = target[name]
            return self.resolved(target)
        if isinstance(part, dict):
            return {name: self.resolved(value) for name, value in part.items()}
        return [self.resolved(value) for value in part] if isinstance(part, list) else part

    def errors(self, exchange: Exchange) -> Iterator[str]:
        """List the differences from the specification."""
        matches = [operations for pattern, operations in self._paths.items() if pattern.fullmatch(exchange.path)]
        if len(matches) != 1 or exchange.method.lower() not in matches[0]:
            yield f"there is no {exchange.method} {exchange.path}"
            return
        operation = matches[0][exchange.method.lower()]
        yield from self._query_errors(operation, exchange.query)
        yield from self._body_errors(operation, exchange.body)
        yield from self._answer_errors(operation, exchange)

    def _query_errors(self, operation: Any, query: Mapping[str, str]) -> Iterator[str]:
        parameters = {p["name"]: p for p in operation.get("parameters", []) if p["in"] == "query"}
        yield from (f"query {name} is unknown" for name in query if name not in parameters)
        yield from (f"query {n} is required" for n, p in parameters.items() if p.get("required") and n not in query)
        for name in query.keys() & parameters.keys():
            schema = parameters[name]["schema"]
            value = query[name] if schema["type"] == "string" else json.loads(query[name])
            yield from invalid(schema, value)

    def _body_errors(self, operation: Any, body: Any) -> Iterator[str]:
        if body is None:
            return
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        yield from invalid(schema, body)
        yield from unknown(schema, body)

    def _answer_errors(self, operation: Any, exchange: Exchange) -> Iterator[str]:
        response = operation["responses"].get(str(exchange.status))
        if response is None and exchange.status < 400:
            yield f"status {exchange.status} is not foreseen"
        content = (response or operation["responses"]["default"]).get("content")
        if content is not None:
            yield from invalid(content["application/json"]["schema"], exchange.answer)


def invalid(schema: Any, value: Any) -> Iterator[str]:
    validator = OAS30Validator(schema, format_checker=OAS30Validator.FORMAT_CHECKER)
    return (f"{error.json_path}: {error.message}" for error in validator.iter_errors(value))


def unknown(schema: Any, value: Any) -> Iterator[str]:
    """Fields that no schema names: Neon would let them pass, and do nothing with them."""
    if isinstance(value, dict):
        named = dict(schema.get("properties", {}))
        for part in schema.get("allOf", []):
            named |= part.get("properties", {})
        for name, inner in value.items():
            if name in named:
                yield from unknown(named[name], inner)
            else:
                yield f"field {name} is unknown"
    if isinstance(value, list):
        for inner in value:
            yield from unknown(schema["items"], inner)


@pytest.fixture
def specification() -> Specification:
    return Specification(json.loads(SPECIFICATION.read_text()))


def record_exchanges(project: LocalProject) -> list[Exchange]:
    """Record what the client exchanges from now on."""
    exchanges: list[Exchange] = []

    def record(response: httpx.Response) -> None:
        response.read()
        request = response.request
        exchanges.append(
            Exchange(
                request.method,
                request.url.path.removeprefix("/api/v2"),
                dict(request.url.params),
                json.loads(request.content) if request.content else None,
                response.status_code,
                json.loads(response.content) if response.content else None,
            )
        )

    project.http._client.event_hooks = {"response": [record]}
    return exchanges


class Counted:
    """The port, counting which of its methods are called."""

    def __init__(self, databases: NeonProject) -> None:
        self._databases = databases
        self.called: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        self.called.add(name)
        return getattr(self._databases, name)


def use_everything(project: LocalProject, databases: Any) -> None:
    """Each method of the port, with each kind of position, and an error."""
    databases.project()
    root = databases.branch_named("main")
    lsn, at = project.position(root.id)
    project.write(root.id, 1)
    started_at, later = project.now(), project.now() + timedelta(days=1)
    preview = databases.create_branch("preview", root.id, at, with_endpoint=True, expires_at=later)
    project.settle()
    databases.operation(preview.operations[0].id)
    list(databases.branches())
    databases.update_branch(preview.branch.id, name="preview-2", protected=False)
    databases.expire_branch(preview.branch.id, later)
    databases.expire_branch(preview.branch.id, None)
    bare = databases.create_branch("bare", root.id, lsn, protected=True)
    project.settle()
    databases.create_endpoint(bare.branch.id)
    project.settle()
    (endpoint,) = databases.endpoints(bare.branch.id)
    databases.restart_endpoint(endpoint.id)
    project.settle()
    databases.connection_uri(bare.branch.id, "app", ROLE, pooled=True)
    with pytest.raises(BackupNameRequired):
        databases.restore(root.id, root.id, lsn)
    databases.restore(root.id, root.id, lsn, "backup")
    assert not databases.branch(root.id).is_ready
    project.settle()
    databases.update_branch(bare.branch.id, protected=False)
    databases.restore(bare.branch.id, root.id)
    project.settle()
    databases.branch(root.id)
    databases.branch("br-none")
    databases.delete_endpoint(endpoint.id)
    project.settle()
    assert databases.delete_endpoint(endpoint.id) is None, "it is gone already"
    assert databases.endpoints(bare.branch.id) == ()
    databases.delete_branch(bare.branch.id)
    project.settle()
    databases.delete_branch(bare.branch.id)
    databases.operations_since(started_at)


def test_every_request_and_answer_matches_neons_specification(
    project: LocalProject, specification: Specification
) -> None:
    databases, exchanges = Counted(project.databases), record_exchanges(project)
    use_everything(project, databases)
    wrong = [f"{e.method} {e.path}: {error}" for e in exchanges for error in specification.errors(e)]
    assert wrong == []
    assert databases.called == {name for name in vars(NeonProject) if not name.startswith("_")}
    assert {200, 201, 204, 404, 422} <= {exchange.status for exchange in exchanges}


def test_roles_and_databases_are_created_and_listed_as_neon_specifies(
    project: LocalProject, specification: Specification, local_neon: LocalNeon
) -> None:
    """Calls that the rollback does not make."""
    root = project.databases.branch_named("main")
    assert root is not None
    path = f"/projects/{project.id}/branches/{root.id}"
    bodies: list[tuple[str, str, Any]] = [
        ("POST", f"{path}/roles", {"role": {"name": "reader"}}),
        ("POST", f"{path}/roles", {"role": {"name": "reader"}}),
        ("GET", f"{path}/roles", None),
        ("POST", f"{path}/databases", {"database": {"name": "billing", "owner_name": "reader"}}),
        ("POST", f"{path}/databases", {"database": {"name": "more", "owner_name": "nobody"}}),
        ("GET", f"{path}/databases", None),
    ]
    exchanges = []
    for method, called, body in bodies:
        headers = {"Authorization": f"Bearer {local_neon.api_key}"}
        answer = httpx.request(method, f"{local_neon.base_url}{called}", json=body, headers=headers)
        exchanges.append(Exchange(method, called, {}, body, answer.status_code, answer.json()))
    assert [f"{e.method} {e.path}: {error}" for e in exchanges for error in specification.errors(e)] == []
    assert [exchange.status for exchange in exchanges] == [201, 409, 200, 201, 404, 200]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"path": "/projects/p/branches/b/reset"}, "there is no POST"),
        ({"body": {"source_branch_id": "b", "preserve_name": "x"}}, "preserve_name is unknown"),
        ({"body": {}}, "source_branch_id"),
        ({"query": {"lsn": "0/1"}}, "query lsn is unknown"),
        ({"status": 202}, "202"),
        ({"answer": {"branch": {}}}, "required"),
    ],
)
def test_the_check_finds_a_deviation_from_the_specification(
    specification: Specification, change: dict[str, Any], error: str
) -> None:
    right: dict[str, Any] = {"method": "POST", "path": "/projects/p/branches/b/restore", "query": {},
             "body": {"source_branch_id": "b"}, "status": 404, "answer": {"code": "", "message": "m"}}  # fmt: skip
    assert list(specification.errors(Exchange(**right))) == []
    wrong = {**right, "status": 200} if "answer" in change else right
    assert error in " ".join(specification.errors(Exchange(**{**wrong, **change})))
