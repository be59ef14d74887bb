"""Requests that the local GitHub takes: a hand-written part of GitHub's published API description.

Fields, types and enumerations are those of https://github.com/github/rest-api-description, which
`tests/contract/github/test_github_specification.py` compares with this file where the description is at hand. Limits of
lengths are not in the description. They come from GitHub's answers, which issue trackers quote: "description is too
long (maximum is 140 characters)", "body is too long (maximum is 65536 characters)", "title is too long".

A field that this file does not know is refused, though GitHub ignores it: a client that sends it has a mistake.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from local_cloud.github.repository import GitHubRefusal

PERMISSIONS = frozenset({"statuses", "deployments", "issues", "metadata", "contents"})


@dataclass(frozen=True)
class Field:
    """A member of a body, or a parameter of a query."""

    kind: type
    is_required: bool = False
    allowed: frozenset[str] = frozenset()
    max_length: int | None = None

    def problem(self, value: Any) -> str | None:
        """Describe what GitHub refuses about a value; None: nothing."""
        is_number = self.kind is int and isinstance(value, bool)
        if value is None and not self.is_required:
            return None
        if not isinstance(value, self.kind) or is_number:
            return f"is not of type {self.kind.__name__}"
        if self.allowed and value not in self.allowed:
            return "is not included in the list"
        if self.max_length is not None and isinstance(value, str) and len(value) > self.max_length:
            return f"is too long (maximum is {self.max_length} characters)"
        return "can't be blank" if self.is_required and not value else None


@dataclass(frozen=True)
class Operation:
    """An operation of the API.

    Attributes:
        permission: permission of the token, and `write` or `read`.
        resource: name in errors, such as `Status`.
    """

    method: str
    template: str
    permission: tuple[str, str]
    resource: str = ""
    query: Mapping[str, Field] = field(default_factory=dict)
    body: Mapping[str, Field] = field(default_factory=dict)

    def parameters(self, method: str, path: str) -> dict[str, str] | None:
        """Return the parameters in the path, or None if the path is another operation's."""
        pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(self.template))
        match = re.fullmatch(pattern, path)
        return match.groupdict() if match is not None and method == self.method else None

    def check(self, query: Mapping[str, str], body: Any) -> None:
        """Refuse a request that GitHub refuses.

        Raises:
            GitHubRefusal: 400 for JSON that is no object, 422 for wrong members.
        """
        for name, value in query.items():
            if name not in self.query:
                raise GitHubRefusal(400, f"the local GitHub knows no parameter {name} of {self.method} {self.template}")
            known = self.query[name]
            if known.kind is int and not value.isdecimal():
                raise GitHubRefusal(422, "Validation Failed", ({"field": name, "code": "invalid"},))
            if known.allowed and value not in known.allowed:
                raise GitHubRefusal(422, "Validation Failed", ({"field": name, "code": "invalid"},))
        if not isinstance(body, Mapping):
            raise GitHubRefusal(400, "Body should be a JSON object")
        if errors := tuple(self._errors(body)):
            raise GitHubRefusal(422, "Validation Failed", errors)

    def _errors(self, body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        for name in sorted(body.keys() - self.body.keys()):
            yield {
                "resource": self.resource,
                "code": "custom",
                "field": name,
                "message": f"the local GitHub knows no member {name} of {self.method} {self.template}",
            }
        for name, known in self.body.items():
            if name not in body and known.is_required:
                yield {"resource": self.resource, "code": "missing_field", "field": name}
            elif name in body and (problem := known.problem(body[name])) is not None:
                yield {"resource": self.resource, "code": "custom", "field": name, "message": f"{name} {problem}"}


def _text(max_length: int | None = None, *, is_required: bool = False) -> Field:
    return Field(str, is_required=is_required, max_length=max_length)


def _one_of(*values: str, is_required: bool = False) -> Field:
    return Field(str, is_required=is_required, allowed=frozenset(values))


_PAGES = {"per_page": Field(int), "page": Field(int)}
_REPOSITORY = "/repos/{owner}/{repo}"
OPERATIONS = (
    Operation("GET", f"{_REPOSITORY}/commits/{{ref}}/status", ("statuses", "read"), query=_PAGES),
    Operation(
        "POST",
        f"{_REPOSITORY}/statuses/{{sha}}",
        ("statuses", "write"),
        "Status",
        body={
            "state": _one_of("error", "failure", "pending", "success", is_required=True),
            "target_url": _text(),
            "description": _text(140),
            "context": _text(),
        },
    ),
    Operation(
        "GET",
        f"{_REPOSITORY}/issues",
        ("issues", "read"),
        query={
            "labels": _text(),
            "since": _text(),
            "state": _one_of("open", "closed", "all"),
            "sort": _one_of("created", "updated", "comments"),
            "direction": _one_of("asc", "desc"),
            **_PAGES,
        },
    ),
    Operation(
        "POST",
        f"{_REPOSITORY}/issues",
        ("issues", "write"),
        "Issue",
        body={
            "title": _text(256, is_required=True),
            "body": _text(65_536),
            "labels": Field(list),
            "assignees": Field(list),
        },
    ),
    Operation("GET", f"{_REPOSITORY}/issues/{{issue_number}}", ("issues", "read")),
    Operation(
        "PATCH",
        f"{_REPOSITORY}/issues/{{issue_number}}",
        ("issues", "write"),
        "Issue",
        body={
            "title": _text(256),
            "body": _text(65_536),
            "state": _one_of("open", "closed"),
            "state_reason": _one_of("completed", "not_planned", "duplicate", "reopened"),
            "labels": Field(list),
            "assignees": Field(list),
        },
    ),
    Operation("GET", f"{_REPOSITORY}/issues/{{issue_number}}/comments", ("issues", "read"), query=_PAGES),
    Operation(
        "POST",
        f"{_REPOSITORY}/issues/{{issue_number}}/comments",
        ("issues", "write"),
        "IssueComment",
        body={"body": _text(65_536, is_required=True)},
    ),
    Operation(
        "GET",
        f"{_REPOSITORY}/deployments",
        ("deployments", "read"),
        query={"sha": _text(), "ref": _text(), "task": _text(), "environment": _text(), **_PAGES},
    ),
    Operation("GET", f"{_REPOSITORY}/deployments/{{deployment_id}}/statuses", ("deployments", "read"), query=_PAGES),
    Operation(
        "POST",
        f"{_REPOSITORY}/deployments/{{deployment_id}}/statuses",
        ("deployments", "write"),
        "DeploymentStatus",
        body={
            "state": _one_of(
                "error", "failure", "inactive", "in_progress", "queued", "pending", "success", is_required=True
            ),
            "log_url": _text(),
            "description": _text(140),
            "auto_inactive": Field(bool),
        },
    ),
)
ACCESS_TOKENS = Operation(
    "POST",
    "/app/installations/{installation_id}/access_tokens",
    ("metadata", "read"),
    "AccessToken",
    body={"permissions": Field(dict)},
)
