"""GitHub's REST API (https://docs.github.com/en/rest): statuses, deployments and issues of one repository.

`bootstrap` imports this module late, since httpx takes a while to load.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from pydantic import ValidationError

from rollback.adapters.github.http import GitHubHttp
from rollback.errors import CallRefused, ExternalServiceError, RefusalKind
from rollback.resources.github.commit_status import CommitStatus
from rollback.resources.github.deployment import Deployment, DeploymentStatus
from rollback.resources.github.errors import Gone
from rollback.resources.github.issue import Comment, Issue, IssueContent


class GitHubRepository:
    """Adapter for one repository."""

    def __init__(self, http: GitHubHttp, repository: str) -> None:
        self._http = http
        owner, _, name = repository.partition("/")
        self._path = f"/repos/{quote(owner, safe='')}/{quote(name, safe='')}"

    def full_sha(self, commit: str) -> str:
        """GET …/commits/{ref}/status, which names the commit and needs no permission to read the code."""
        path = f"{self._path}/commits/{quote(commit, safe='')}/status"
        answer = self._http.read(f"{path}?per_page=1")
        with _translate_parse_errors(path):
            sha = str(answer["sha"])
        if not sha.startswith(commit.lower()):  # a branch or tag of that name
            raise CallRefused(f"{commit} is the name of a branch or tag, and not the beginning of a commit's SHA")
        return sha

    def commit_status(self, sha: str, context: str) -> CommitStatus | None:
        """GET …/commits/{sha}/status, which has the newest status of each context."""
        path = f"{self._path}/commits/{quote(sha, safe='')}/status"
        for answer in self._http.pages(path, {}, "statuses"):
            with _translate_parse_errors(path):
                if str(answer["context"]).lower() == context.lower():
                    return CommitStatus.model_validate(_without_nulls(answer))
        return None

    def set_commit_status(self, sha: str, status: CommitStatus) -> None:
        """POST …/statuses/{sha}."""
        body = {"state": status.state, "context": status.context, "description": status.description}
        link = {"target_url": status.target_url} if status.target_url else {}
        self._http.change("POST", f"{self._path}/statuses/{quote(sha, safe='')}", {**body, **link})

    def deployment(self, sha: str, environment: str) -> Deployment | None:
        """GET …/deployments with `sha` and `environment`; the newest by its time, since no order is documented."""
        path = f"{self._path}/deployments"
        found = []
        for answer in self._http.pages(path, {"sha": sha, "environment": environment}):
            with _translate_parse_errors(path):
                found.append(Deployment.model_validate(answer))
        matching = [one for one in found if one.sha == sha and one.environment == environment]
        return max(matching, key=lambda one: (one.created_at, one.id), default=None)

    def deployment_status(self, deployment_id: int) -> DeploymentStatus | None:
        """GET …/deployments/{id}/statuses; the newest by its id, since no order is documented."""
        path = f"{self._path}/deployments/{deployment_id}/statuses"
        newest: Any = None
        for answer in self._http.pages(path, {}):
            with _translate_parse_errors(path):
                newest = answer if newest is None or int(answer["id"]) > int(newest["id"]) else newest
        if newest is None:
            return None
        with _translate_parse_errors(path):
            return DeploymentStatus.model_validate(_without_nulls(newest))

    def set_deployment_status(self, deployment_id: int, status: DeploymentStatus) -> None:
        """POST …/deployments/{id}/statuses without `auto_inactive`, so that other deployments keep their statuses."""
        body = {"state": status.state, "description": status.description, "auto_inactive": False}
        link = {"log_url": status.log_url} if status.log_url else {}
        self._http.change("POST", f"{self._path}/deployments/{deployment_id}/statuses", {**body, **link})

    def issues(self, label: str, since: datetime) -> Iterator[Issue]:
        """GET …/issues with `labels` and `since`."""
        path = f"{self._path}/issues"
        query = {"labels": label, "since": _utc(since), "state": "all", "sort": "created", "direction": "desc"}
        for answer in self._http.pages(path, query):
            with _translate_parse_errors(path):
                issue = Issue.of_answer(answer)
            if not issue.is_pull_request:
                yield issue

    def issue(self, number: int) -> Issue | None:
        """GET …/issues/{number}; 404 and 410 mean that it is gone."""
        path = f"{self._path}/issues/{number}"
        try:
            answer = self._http.read(path)
        except Gone:
            return None
        except CallRefused as refused:
            if refused.kind is RefusalKind.NOT_FOUND:
                return None
            raise
        with _translate_parse_errors(path):
            return Issue.of_answer(answer)

    def create_issue(self, content: IssueContent) -> Issue:
        """POST …/issues."""
        path = f"{self._path}/issues"
        body = {
            "title": content.title,
            "body": content.body,
            "labels": list(content.labels),
            "assignees": list(content.assignees),
        }
        answer = self._http.change("POST", path, body)
        with _translate_parse_errors(path):
            return Issue.of_answer(answer)

    def update_issue(self, number: int, content: IssueContent, *, close: bool) -> None:
        """PATCH …/issues/{number}."""
        state = {"state": "closed", "state_reason": "completed"} if close else {}
        body = {"title": content.title, "body": content.body, **state}
        self._http.change("PATCH", f"{self._path}/issues/{number}", body)

    def comments(self, number: int) -> Iterator[Comment]:
        """GET …/issues/{number}/comments."""
        path = f"{self._path}/issues/{number}/comments"
        for answer in self._http.pages(path, {}):
            with _translate_parse_errors(path):
                yield Comment.model_validate(answer)

    def add_comment(self, number: int, body: str) -> None:
        """POST …/issues/{number}/comments."""
        self._http.change("POST", f"{self._path}/issues/{number}/comments", {"body": body})


@contextmanager
def _translate_parse_errors(path: str) -> Iterator[None]:
    try:
        yield
    except (KeyError, TypeError, ValueError, ValidationError) as error:
        text = f"GitHub's answer at {path} can't be read ({type(error).__name__}); check whether it took effect"
        raise ExternalServiceError(text) from error


def _without_nulls(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if value is not None}


def _utc(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
