"""A GitHub repository in memory, as strict as the local GitHub; the contract tests hold both to the same promises."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from fakes.clock import FakeClock

from rollback.errors import CallRefused, ExternalServiceError, RefusalKind
from rollback.resources.github.commit_status import DESCRIPTION_LIMIT, CommitStatus
from rollback.resources.github.deployment import Deployment, DeploymentStatus
from rollback.resources.github.errors import Gone
from rollback.resources.github.issue import BODY_LIMIT, TITLE_LIMIT, Comment, Issue, IssueContent


@dataclass
class _Stored:
    issue: Issue
    changed_at: datetime
    assignees: tuple[str, ...]
    comments: list[Comment] = field(default_factory=list)


class FakeGitHub:
    """Repository whose commits, deployments and assignable logins a test arranges."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.commits: set[str] = set()
        self.branches: dict[str, str] = {}
        self.statuses: dict[str, list[CommitStatus]] = {}
        self.deployments: list[Deployment] = []
        self.deployment_statuses: dict[int, list[DeploymentStatus]] = {}
        self.stored: dict[int, _Stored] = {}
        self.assignable: set[str] = set()
        self.list_delay_seconds = 0.0
        self.has_issues = True
        self.failures: list[Exception] = []  # each fails the next call, before the call does anything
        self.lost_answers = 0  # so many changes are made, and their answers are lost

    def full_sha(self, commit: str) -> str:
        self._fail_if_told()
        if commit in self.branches:
            raise CallRefused(f"{commit} is the name of a branch")
        found = [sha for sha in self.commits if sha.startswith(commit.lower())]
        if len(found) != 1:
            raise CallRefused(f"no commit {commit}", kind=RefusalKind.NOT_FOUND)
        return found[0]

    def commit_status(self, sha: str, context: str) -> CommitStatus | None:
        self._fail_if_told()
        if sha not in self.commits:
            raise CallRefused(f"no commit {sha}", kind=RefusalKind.NOT_FOUND)
        known = [status for status in self.statuses.get(sha, []) if status.context.lower() == context.lower()]
        return known[-1] if known else None

    def set_commit_status(self, sha: str, status: CommitStatus) -> None:
        self._fail_if_told()
        if sha not in self.commits:
            raise CallRefused(f"No commit found for SHA: {sha}", kind=RefusalKind.NOT_FOUND)
        _refuse_longer(status.description, DESCRIPTION_LIMIT)
        self.statuses.setdefault(sha, []).append(status)
        self._lose_answer()

    def deploy(self, sha: str, environment: str) -> int:
        """Record a deployment as a pipeline makes it."""
        number = len(self.deployments) + 1
        self.deployments.append(Deployment(id=number, sha=sha, environment=environment, created_at=self._clock.now()))
        self.deployment_statuses[number] = [DeploymentStatus(state="success")]
        return number

    def deployment(self, sha: str, environment: str) -> Deployment | None:
        self._fail_if_told()
        found = [one for one in self.deployments if one.sha == sha and one.environment == environment]
        return found[-1] if found else None

    def deployment_status(self, deployment_id: int) -> DeploymentStatus | None:
        self._fail_if_told()
        if deployment_id not in self.deployment_statuses:
            raise CallRefused(f"no deployment {deployment_id}", kind=RefusalKind.NOT_FOUND)
        statuses = self.deployment_statuses[deployment_id]
        return statuses[-1] if statuses else None

    def set_deployment_status(self, deployment_id: int, status: DeploymentStatus) -> None:
        self._fail_if_told()
        if deployment_id not in self.deployment_statuses:
            raise CallRefused(f"no deployment {deployment_id}", kind=RefusalKind.NOT_FOUND)
        _refuse_longer(status.description, DESCRIPTION_LIMIT)
        self.deployment_statuses[deployment_id].append(status)
        self._lose_answer()

    def issues(self, label: str, since: datetime) -> Iterator[Issue]:
        self._fail_if_told()
        self._require_issues()
        visible_until = self._clock.now() - timedelta(seconds=self.list_delay_seconds)
        chosen = [
            stored.issue
            for stored in self.stored.values()
            if label.lower() in {name.lower() for name in stored.issue.labels}
            and stored.changed_at >= since
            and stored.issue.created_at <= visible_until
        ]
        return iter(sorted(chosen, key=lambda issue: (issue.created_at, issue.number), reverse=True))

    def issue(self, number: int) -> Issue | None:
        self._fail_if_told()
        return self.stored[number].issue if number in self.stored and self.has_issues else None

    def create_issue(self, content: IssueContent) -> Issue:
        self._fail_if_told()
        self._require_issues()
        _refuse_longer(content.title, TITLE_LIMIT)
        _refuse_longer(content.body, BODY_LIMIT)
        if not content.title or not set(content.assignees) <= self.assignable:
            raise CallRefused("Validation Failed")
        number, now = len(self.stored) + 1, self._clock.now()
        issue = Issue(
            number=number,
            title=content.title,
            body=content.body,
            state="open",
            labels=content.labels,
            created_at=now.replace(microsecond=0),
        )
        self.stored[number] = _Stored(issue, now, content.assignees)
        self._lose_answer()
        return issue

    def update_issue(self, number: int, content: IssueContent, *, close: bool) -> None:
        self._fail_if_told()
        stored = self._stored(number)
        _refuse_longer(content.title, TITLE_LIMIT)
        _refuse_longer(content.body, BODY_LIMIT)
        state = {"state": "closed"} if close else {}
        changes = {"title": content.title, "body": content.body, **state}
        stored.issue = stored.issue.model_copy(update=changes)
        stored.changed_at = self._clock.now()
        self._lose_answer()

    def comments(self, number: int) -> Iterator[Comment]:
        self._fail_if_told()
        return iter(list(self._stored(number).comments))

    def add_comment(self, number: int, body: str) -> None:
        self._fail_if_told()
        stored = self._stored(number)
        _refuse_longer(body, BODY_LIMIT)
        stored.comments.append(Comment(id=number * 1000 + len(stored.comments), body=body))
        stored.changed_at = self._clock.now()
        self._lose_answer()

    def _stored(self, number: int) -> _Stored:
        self._require_issues()
        if number not in self.stored:
            raise CallRefused(f"no issue {number}", kind=RefusalKind.NOT_FOUND)
        return self.stored[number]

    def _require_issues(self) -> None:
        if not self.has_issues:
            raise Gone("issues are disabled")

    def _fail_if_told(self) -> None:
        if self.failures:
            raise self.failures.pop(0)

    def _lose_answer(self) -> None:
        if self.lost_answers:
            self.lost_answers -= 1
            raise ExternalServiceError("got no answer")


def _refuse_longer(text: str, limit: int) -> None:
    if len(text) > limit:
        raise CallRefused(f"is too long (maximum is {limit} characters)")
