"""A repository of the local GitHub: its commits, statuses, deployments, issues, and who may see it."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

Answer = dict[str, Any]
_MAX_STATUSES = 1_000  # for a commit and context (API description, "Create a commit status")
_USER = {"login": "rollback-bot", "id": 1, "node_id": "U_1", "type": "Bot", "site_admin": False}


class GitHubRefusal(Exception):
    """GitHub refuses a request: status, message, errors and headers of the answer."""

    def __init__(
        self, status: int, message: str, errors: tuple[Any, ...] = (), headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.errors, self.headers = status, errors, headers or {}


@dataclass
class Clock:
    """The clock of the local GitHub, which a test may advance."""

    offset: timedelta = timedelta()

    def now(self) -> datetime:
        """Return the present time."""
        return datetime.now(UTC) + self.offset

    def pass_time(self, **time: float) -> None:
        """Advance the clock."""
        self.offset += timedelta(**time)


@dataclass
class StoredIssue:
    """An issue with its comments."""

    number: int
    answer: Answer
    created_at: datetime
    updated_at: datetime
    comments: list[Answer] = field(default_factory=list)


class Repository:
    """A repository. Attributes are what a test arranges and asserts.

    Attributes:
        assignable: logins that issues may be assigned to.
        list_delay_seconds: a new issue is missing in lists for so long; GitHub's lists follow with a delay.
        has_issues: False: the owner disabled issues.
    """

    def __init__(self, name: str, identity: int, base_url: str, clock: Clock) -> None:
        self.name, self.id, self._clock = name, identity, clock
        self.commits: set[str] = set()
        self.refs: dict[str, str] = {}
        self.statuses: dict[str, list[Answer]] = {}
        self.deployments: list[Answer] = []
        self.deployment_statuses: dict[int, list[Answer]] = {}
        self.issues: dict[int, StoredIssue] = {}
        self.assignable: set[str] = set()
        self.list_delay_seconds = 0.0
        self.has_issues = True
        self._base = base_url
        self._ids = count(1000)

    @property
    def url(self) -> str:
        """URL of the repository in the API."""
        return f"{self._base}/repos/{self.name}"

    def add_deployment(self, sha: str, environment: str, state: str = "success") -> int:
        """Record a deployment as a pipeline makes it, and return its id."""
        identity, at = next(self._ids), self._time()
        self.deployments.append(
            {
                "id": identity, "node_id": f"DE_{identity}", "url": f"{self.url}/deployments/{identity}", "sha": sha,
                "ref": sha, "task": "deploy", "payload": {}, "environment": environment, "description": None,
                "creator": _USER, "created_at": at, "updated_at": at, "repository_url": self.url,
                "statuses_url": f"{self.url}/deployments/{identity}/statuses",
            }
        )  # fmt: skip
        self.deployment_statuses[identity] = []
        self.add_deployment_status(identity, {"state": state})
        return identity

    def resolve(self, ref: str) -> str:
        """Return the SHA that a ref names: a branch or tag, a whole SHA, or the beginning of one SHA.

        Raises:
            GitHubRefusal: 404, there is none or several.
        """
        if ref in self.refs:
            return self.refs[ref]
        matching = [sha for sha in self.commits if sha.startswith(ref)]
        if len(matching) != 1:
            raise GitHubRefusal(404, "Not Found")
        return matching[0]

    def combined_status(self, ref: str) -> Answer:
        """Return the newest status of each context."""
        sha = self.resolve(ref)
        newest: dict[str, Answer] = {}
        for status in self.statuses.get(sha, []):
            newest[status["context"].lower()] = status
        states = {status["state"] for status in newest.values()}
        worst = "failure" if states & {"failure", "error"} else "pending" if states != {"success"} else "success"
        return {
            "state": worst, "sha": sha, "total_count": len(newest), "statuses": list(newest.values()),
            "repository": {"id": self.id, "full_name": self.name, "url": self.url},
            "commit_url": f"{self.url}/commits/{sha}", "url": f"{self.url}/commits/{sha}/status",
        }  # fmt: skip

    def add_status(self, sha: str, body: Answer) -> Answer:
        """Add a status to a commit.

        Raises:
            GitHubRefusal: 422, the commit is unknown or has too many statuses.
        """
        if sha not in self.commits:
            raise GitHubRefusal(422, f"No commit found for SHA: {sha}")
        context = body.get("context") or "default"
        known = self.statuses.setdefault(sha, [])
        if sum(status["context"] == context for status in known) >= _MAX_STATUSES:
            raise GitHubRefusal(422, "Validation Failed", ("This SHA and context has reached the maximum of statuses",))
        identity, at = next(self._ids), self._time()
        status = {
            "url": f"{self.url}/statuses/{sha}", "avatar_url": None, "id": identity, "node_id": f"SC_{identity}",
            "state": body["state"], "description": body.get("description"), "target_url": body.get("target_url"),
            "context": context, "created_at": at, "updated_at": at, "creator": _USER,
        }  # fmt: skip
        known.append(status)
        return status

    def add_deployment_status(self, identity: int, body: Answer) -> Answer:
        """Add a status to a deployment.

        Raises:
            GitHubRefusal: 404, there is no such deployment.
        """
        deployment = next((one for one in self.deployments if one["id"] == identity), None)
        if deployment is None:
            raise GitHubRefusal(404, "Not Found")
        number, at = next(self._ids), self._time()
        status = {
            "url": f"{deployment['statuses_url']}/{number}", "id": number, "node_id": f"DS_{number}",
            "state": body["state"], "creator": _USER, "description": body.get("description") or "",
            "environment": deployment["environment"], "target_url": body.get("log_url") or "",
            "log_url": body.get("log_url") or "", "created_at": at, "updated_at": at,
            "deployment_url": deployment["url"], "repository_url": self.url,
        }  # fmt: skip
        self.deployment_statuses[identity].insert(0, status)
        return status

    def create_issue(self, body: Answer) -> Answer:
        """Create an issue.

        Raises:
            GitHubRefusal: 410, issues are disabled; 422, an assignee may not be assigned.
        """
        self.require_issues()
        wrong = [login for login in body.get("assignees") or [] if login not in self.assignable]
        if wrong:
            error = {"resource": "Issue", "field": "assignees", "code": "invalid", "value": wrong[0]}
            raise GitHubRefusal(422, "Validation Failed", (error,))
        number, at = len(self.issues) + 1, self._clock.now()
        url = f"{self.url}/issues/{number}"
        answer = {
            "id": next(self._ids), "node_id": f"I_{number}", "number": number, "title": body["title"],
            "body": body.get("body"), "user": _USER, "labels": [_label(name) for name in body.get("labels") or []],
            "assignee": None, "assignees": [{**_USER, "login": login} for login in body.get("assignees") or []],
            "milestone": None, "state": "open", "state_reason": None, "locked": False, "comments": 0,
            "closed_at": None, "url": url, "repository_url": self.url, "html_url": f"https://github.local/{number}",
            "comments_url": f"{url}/comments", "events_url": f"{url}/events", "labels_url": f"{url}/labels{{/name}}",
        }  # fmt: skip
        self.issues[number] = StoredIssue(number, answer, at, at)
        return self.issue(number)

    def issue(self, number: int) -> Answer:
        """Return an issue. Unlike a list, it shows each change at once.

        Raises:
            GitHubRefusal: 404, there is none; 410, issues are disabled.
        """
        self.require_issues()
        stored = self._stored(number)
        return {
            **stored.answer,
            "comments": len(stored.comments),
            "created_at": _rfc3339(stored.created_at),
            "updated_at": _rfc3339(stored.updated_at),
        }

    def update_issue(self, number: int, body: Answer) -> Answer:
        """Replace members of an issue."""
        self.require_issues()
        stored = self._stored(number)
        changes = {name: value for name, value in body.items() if name in {"title", "body", "state", "state_reason"}}
        if "labels" in body:
            changes["labels"] = [_label(name) for name in body["labels"]]
        if "state" in changes:
            changes["closed_at"] = self._time() if changes["state"] == "closed" else None
        stored.answer |= changes
        stored.updated_at = self._clock.now()
        return self.issue(number)

    def list_issues(self, query: dict[str, str]) -> list[Answer]:
        """List the issues that a query selects; the newest are missing for a while."""
        self.require_issues()
        visible_until = self._clock.now() - timedelta(seconds=self.list_delay_seconds)
        since = datetime.fromisoformat(query["since"]) if "since" in query else None
        labels = {label.lower() for label in query.get("labels", "").split(",") if label}
        state = query.get("state", "open")
        chosen = [
            stored
            for stored in self.issues.values()
            if (not self.list_delay_seconds or stored.created_at <= visible_until)
            and (since is None or stored.updated_at.replace(microsecond=0) >= since)
            and labels <= {label["name"].lower() for label in stored.answer["labels"]}
            and state in {"all", stored.answer["state"]}
        ]
        newest_first = query.get("direction", "desc") == "desc"
        chosen.sort(key=lambda stored: (stored.created_at, stored.number), reverse=newest_first)
        return [self.issue(stored.number) for stored in chosen]

    def add_comment(self, number: int, body: Answer) -> Answer:
        """Add a comment to an issue."""
        self.require_issues()
        stored, identity, at = self._stored(number), next(self._ids), self._time()
        url = f"{self.url}/issues/comments/{identity}"
        comment = {
            "id": identity, "node_id": f"IC_{identity}", "url": url, "html_url": url, "body": body["body"],
            "user": _USER, "created_at": at, "updated_at": at, "issue_url": stored.answer["url"],
            "author_association": "NONE", "performed_via_github_app": None,
        }  # fmt: skip
        stored.comments.append(comment)
        stored.updated_at = self._clock.now()
        return comment

    def comments(self, number: int) -> list[Answer]:
        """List the comments of an issue, oldest first."""
        self.require_issues()
        return self._stored(number).comments

    def require_issues(self) -> None:
        """Refuse with 410 if issues are disabled."""
        if not self.has_issues:
            raise GitHubRefusal(410, "Issues has been disabled in this repository.")

    def _stored(self, number: int) -> StoredIssue:
        if number not in self.issues:
            raise GitHubRefusal(404, "Not Found")
        return self.issues[number]

    def _time(self) -> str:
        return _rfc3339(self._clock.now())


def _label(name: str) -> Answer:
    return {"id": len(name), "node_id": f"LA_{name}", "url": "", "name": name, "color": "ededed", "default": False}


def _rfc3339(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
