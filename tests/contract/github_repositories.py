"""A GitHub repository for a test: the port, and the acts of a team and of GitHub itself."""

from typing import Protocol

from examples.github import OTHER_SHA, SHA
from fakes.clock import FakeClock
from fakes.github import FakeGitHub
from support.builders import NOW

from local_cloud.github.faults import Fault, secondary_rate_limit
from local_cloud.github.server import LocalGitHub
from rollback.adapters.github.client import GitHubRepository
from rollback.adapters.github.credentials import SecretToken
from rollback.adapters.github.http import GitHubHttp
from rollback.ports.github import GitHub
from rollback.resources.github.errors import RateLimited

NAME = "macro-ai/shop"
BRANCH = "main"
ASSIGNABLE = "ada"


class ContractRepository(Protocol):
    """A repository with two commits, a branch at one of them, and one login that issues may be assigned to."""

    github: GitHub

    def deploy(self, sha: str, environment: str) -> int: ...
    def disable_issues(self) -> None: ...
    def delay_lists(self, seconds: float) -> None: ...
    def pass_time(self, seconds: float) -> None: ...
    def lose_next_answer(self, method: str, path: str) -> None: ...
    def limit_next(self, method: str, path: str, seconds: int) -> None: ...


class FakeRepository:
    """Repository in memory."""

    def __init__(self) -> None:
        self.clock = FakeClock(NOW)
        self._fake = FakeGitHub(self.clock)
        self._fake.commits |= {SHA, OTHER_SHA}
        self._fake.branches[BRANCH] = SHA
        self._fake.assignable = {ASSIGNABLE}
        self.github: GitHub = self._fake
        self.deploy = self._fake.deploy

    def disable_issues(self) -> None:
        self._fake.has_issues = False

    def delay_lists(self, seconds: float) -> None:
        self._fake.list_delay_seconds = seconds

    def pass_time(self, seconds: float) -> None:
        self.clock.pass_time(seconds=seconds)

    def lose_next_answer(self, method: str, path: str) -> None:
        self._fake.lost_answers = 1

    def limit_next(self, method: str, path: str, seconds: int) -> None:
        self._fake.failures.append(RateLimited("secondary rate limit", seconds))


class LocalRepository:
    """Repository of the local GitHub, through the adapter."""

    def __init__(self, local: LocalGitHub, name: str = NAME) -> None:
        self.local = local
        self.repository = local.create_repository(name, SHA, OTHER_SHA)
        self.repository.refs[BRANCH] = SHA
        self.repository.assignable = {ASSIGNABLE}
        self.token = local.create_token()
        self.http = GitHubHttp(SecretToken(lambda: self.token), local.base_url, name)
        self.github: GitHub = GitHubRepository(self.http, name)
        self.deploy = self.repository.add_deployment

    def disable_issues(self) -> None:
        self.repository.has_issues = False

    def delay_lists(self, seconds: float) -> None:
        self.repository.list_delay_seconds = seconds

    def pass_time(self, seconds: float) -> None:
        self.local.clock.pass_time(seconds=seconds)

    def lose_next_answer(self, method: str, path: str) -> None:
        self.local.faults.inject(Fault(method, path, None, is_applied_first=True))

    def limit_next(self, method: str, path: str, seconds: int) -> None:
        self.local.faults.inject(secondary_rate_limit(method, path, retry_after_seconds=seconds))
