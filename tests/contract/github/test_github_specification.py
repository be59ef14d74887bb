"""The local GitHub, every request of the adapter and every answer, against GitHub's published API description.

The description (https://github.com/github/rest-api-description, 13 MB) lies beside the project, not in it. Name its
file in the variable GITHUB_OPENAPI; npm's package `@octokit/openapi` has it as `generated/api.github.com.json`.
"""

import json
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from contract.github_repositories import LocalRepository
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from examples.github import OTHER_SHA, ROLLED_BACK, SHA, STATUS

from local_cloud.github.server import Exchange, LocalGitHub
from local_cloud.github.shapes import ACCESS_TOKENS, OPERATIONS, Field, Operation
from rollback.adapters.github.client import GitHubRepository
from rollback.adapters.github.credentials import AppToken
from rollback.adapters.github.http import GitHubHttp
from rollback.resources.github.issue import IssueContent

BESIDE = Path(__file__).parents[4] / "shared" / "contracts" / "api.github.com.json"
DESCRIPTION = Path(os.environ.get("GITHUB_OPENAPI") or BESIDE)
pytestmark = pytest.mark.skipif(
    not DESCRIPTION.exists(), reason="GitHub's API description is not at hand: name its file in GITHUB_OPENAPI"
)
TYPES = {str: "string", int: "integer", bool: "boolean", list: "array", dict: "object"}
CONTENT = IssueContent(title="Rollback", body="Why", labels=("rollback",), assignees=("ada",))
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


@cache
def document() -> dict[str, Any]:
    return dict(json.loads(DESCRIPTION.read_text()))


def resolved(part: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in part:
        target: Any = document()
        for name in part["$ref"].removeprefix("#/").split("/"):
            target = target[name]
        part = target
    return part


def flattened(schema: dict[str, Any]) -> dict[str, Any]:
    """Join the parts of `allOf`."""
    parts = [resolved(part) for part in resolved(schema).get("allOf", [schema])]
    return {
        "properties": {name: member for part in parts for name, member in part.get("properties", {}).items()},
        "required": [name for part in parts for name in part.get("required", ())],
    }


def described(operation: Operation) -> dict[str, Any]:
    return resolved(document()["paths"][operation.template][operation.method.lower()])


def body_schema(operation: Operation) -> dict[str, Any]:
    return resolved(described(operation)["requestBody"]["content"]["application/json"]["schema"])


def types_of(schema: dict[str, Any]) -> set[str]:
    schema = resolved(schema)
    alternatives = schema.get("oneOf") or schema.get("anyOf") or [schema]
    return {str(resolved(part).get("type")) for part in alternatives}


def values_of(schema: dict[str, Any]) -> frozenset[str]:
    return frozenset(resolved(schema).get("enum") or ())


def differences(name: str, known: Field, schema: dict[str, Any]) -> Iterator[str]:
    if TYPES[known.kind] not in types_of(schema):
        yield f"{name} has the types {types_of(schema)}"
    if known.allowed and known.allowed != values_of(schema):
        yield f"{name} allows {sorted(values_of(schema))}"


@pytest.mark.parametrize("operation", [*OPERATIONS, ACCESS_TOKENS], ids=lambda o: f"{o.method} {o.template}")
def test_an_operation_of_the_local_github_is_githubs(operation: Operation) -> None:
    parameters = [resolved(one) for one in described(operation).get("parameters", [])]
    of_query = {one["name"]: one["schema"] for one in parameters if one["in"] == "query"}
    assert operation.query.keys() <= of_query.keys()
    wrong = [text for name, known in operation.query.items() for text in differences(name, known, of_query[name])]
    if operation.body:
        schema = body_schema(operation)
        assert operation.body.keys() <= schema["properties"].keys()
        required = {name for name, known in operation.body.items() if known.is_required}
        assert required == set(schema.get("required", ()))
        wrong += [
            text
            for name, known in operation.body.items()
            for text in differences(name, known, schema["properties"][name])
        ]
    assert wrong == []


def use_everything(repository: LocalRepository) -> None:
    """Call each method of the port, and exchange an App's key."""
    github = repository.github
    deployment = repository.deploy(SHA, "production")
    github.set_commit_status(github.full_sha(SHA[:8]), STATUS)
    github.commit_status(SHA, STATUS.context)
    github.deployment(SHA, "production")
    github.set_deployment_status(deployment, ROLLED_BACK)
    github.deployment_status(deployment)
    issue = github.create_issue(CONTENT)
    github.update_issue(issue.number, CONTENT, close=True)
    github.add_comment(issue.number, "text")
    list(github.comments(issue.number))
    list(github.issues("rollback", issue.created_at))
    github.issue(issue.number)
    pem = KEY.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    repository.local.install_app("1", 2, KEY.public_key())
    http = GitHubHttp(AppToken("1", 2, lambda: pem, {"statuses": "write"}), repository.local.base_url, "macro-ai/shop")
    GitHubRepository(http, "macro-ai/shop").set_commit_status(OTHER_SHA, STATUS)


def problems(exchange: Exchange) -> Iterator[str]:
    request = exchange.request
    (operation,) = (
        one for one in (*OPERATIONS, ACCESS_TOKENS) if one.parameters(request.method, request.path) is not None
    )
    what = f"{request.method} {operation.template}"
    parameters = [resolved(one) for one in described(operation).get("parameters", [])]
    yield from (f"{what}: query {name}" for name in request.query if name not in {one["name"] for one in parameters})
    if request.body:
        yield from (f"{what}: {name}" for name in request.body if name not in body_schema(operation)["properties"])
    answers = described(operation)["responses"]
    if str(exchange.status) not in answers:
        yield f"{what} has no answer {exchange.status}"
        return
    schema = resolved(resolved(answers[str(exchange.status)])["content"]["application/json"]["schema"])
    items = exchange.answer if isinstance(exchange.answer, list) else [exchange.answer]
    item = flattened(schema["items"] if isinstance(exchange.answer, list) else schema)
    for answer in items:
        yield from (f"{what} lacks {name}" for name in item.get("required", ()) if name not in answer)
        yield from (f"{what} has no {name}" for name in answer if name not in item["properties"])
        for name in answer.keys() & item["properties"].keys():
            yield from (f"{what}.{name}: {text}" for text in type_problems(answer[name], item["properties"][name]))


def type_problems(value: Any, schema: dict[str, Any]) -> Iterator[str]:
    """Compare the type of a member; what lies below it is compared where the adapter reads it."""
    types = types_of(schema)
    if value is not None and types != {"None"} and TYPES.get(type(value)) not in types:
        yield f"{value!r} is not of {types}"


def test_every_request_and_answer_has_the_members_that_github_describes() -> None:
    with LocalGitHub() as local:
        repository = LocalRepository(local)
        use_everything(repository)
        called = {
            (one.method, one.template)
            for exchange in local.exchanges
            for one in (*OPERATIONS, ACCESS_TOKENS)
            if one.parameters(exchange.request.method, exchange.request.path) is not None
        }
        assert called == {(one.method, one.template) for one in (*OPERATIONS, ACCESS_TOKENS)}
        assert [text for exchange in local.exchanges for text in problems(exchange)] == []
