"""Promises of the port to GitHub, kept on the fake and on the adapter with the local GitHub."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from contract.github_repositories import ASSIGNABLE, BRANCH, ContractRepository, FakeRepository, LocalRepository
from examples.github import OTHER_SHA, SHA, UNKNOWN_SHA

from local_cloud.github.server import LocalGitHub
from rollback.errors import CallRefused, ExternalServiceError, RefusalKind
from rollback.resources.github.commit_status import CommitState, CommitStatus
from rollback.resources.github.deployment import DeploymentState, DeploymentStatus
from rollback.resources.github.errors import Gone, RateLimited
from rollback.resources.github.issue import BODY_LIMIT, TITLE_LIMIT, IssueContent

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
PENDING = CommitStatus(
    state=CommitState.PENDING, context="rollback/production", description="under way", target_url="https://a.test/1"
)
FAILED = PENDING.model_copy(update={"state": CommitState.FAILURE, "description": "rolled back"})
CONTENT = IssueContent(title="Rollback", body="Why", labels=("rollback", "production"), assignees=(ASSIGNABLE,))


@pytest.fixture(params=["fake", "local"])
def repository(request: pytest.FixtureRequest) -> Iterator[ContractRepository]:
    if request.param == "fake":
        yield FakeRepository()
        return
    with LocalGitHub() as local:
        yield LocalRepository(local)


def numbers(repository: ContractRepository, label: str = "rollback", since: datetime = LONG_AGO) -> list[int]:
    return [issue.number for issue in repository.github.issues(label, since)]


def test_the_beginning_of_a_sha_names_the_commit(repository: ContractRepository) -> None:
    assert repository.github.full_sha(SHA[:7]) == repository.github.full_sha(SHA) == SHA


@pytest.mark.parametrize("name", [UNKNOWN_SHA, UNKNOWN_SHA[:7]])
def test_a_name_of_no_commit_is_refused_as_not_found(repository: ContractRepository, name: str) -> None:
    with pytest.raises(CallRefused) as refused:
        repository.github.full_sha(name)
    assert refused.value.kind is RefusalKind.NOT_FOUND


def test_a_branch_is_no_commit_since_it_moves(repository: ContractRepository) -> None:
    with pytest.raises(CallRefused):
        repository.github.full_sha(BRANCH)


def test_the_newest_status_of_a_context_is_the_commits_status(repository: ContractRepository) -> None:
    assert repository.github.commit_status(SHA, PENDING.context) is None
    repository.github.set_commit_status(SHA, PENDING)
    repository.github.set_commit_status(SHA, PENDING.model_copy(update={"context": "other"}))
    repository.github.set_commit_status(SHA, FAILED)
    assert repository.github.commit_status(SHA, PENDING.context.upper()) == FAILED
    assert repository.github.commit_status(OTHER_SHA, PENDING.context) is None


def test_a_status_without_a_link_is_read_as_it_was_set(repository: ContractRepository) -> None:
    bare = PENDING.model_copy(update={"target_url": "", "description": ""})
    repository.github.set_commit_status(SHA, bare)
    assert repository.github.commit_status(SHA, bare.context) == bare


def test_a_status_of_an_unknown_commit_is_refused(repository: ContractRepository) -> None:
    with pytest.raises(CallRefused) as refused:
        repository.github.set_commit_status(UNKNOWN_SHA, PENDING)
    assert refused.value.kind is RefusalKind.NOT_FOUND


@pytest.mark.parametrize(("length", "is_accepted"), [(140, True), (141, False)])
def test_a_description_has_at_most_140_characters(
    repository: ContractRepository, length: int, is_accepted: bool
) -> None:
    status = PENDING.model_copy(update={"description": "é" * length})
    if is_accepted:
        repository.github.set_commit_status(SHA, status)
        assert repository.github.commit_status(SHA, status.context) == status
        return
    with pytest.raises(CallRefused, match="too long"):
        repository.github.set_commit_status(SHA, status)


def test_the_newest_deployment_of_commit_and_environment_is_found(repository: ContractRepository) -> None:
    repository.deploy(SHA, "production")
    newest = repository.deploy(SHA, "production")
    repository.deploy(SHA, "staging")
    repository.deploy(OTHER_SHA, "production")
    found = repository.github.deployment(SHA, "production")
    assert found is not None
    assert found.id == newest
    assert repository.github.deployment(OTHER_SHA, "staging") is None


def test_the_newest_status_of_a_deployment_is_read_as_it_was_set(repository: ContractRepository) -> None:
    deployed, other = repository.deploy(SHA, "production"), repository.deploy(OTHER_SHA, "production")
    status = DeploymentStatus(state=DeploymentState.FAILURE, description="rolled back", log_url="https://a.test/1")
    repository.github.set_deployment_status(deployed, status)
    assert repository.github.deployment_status(deployed) == status
    untouched = repository.github.deployment_status(other)
    assert untouched is not None
    assert untouched.state is DeploymentState.SUCCESS


def test_a_created_issue_is_found_by_its_label_and_number(repository: ContractRepository) -> None:
    created = repository.github.create_issue(CONTENT)
    assert (created.title, created.body, created.state) == ("Rollback", "Why", "open")
    assert set(created.labels) == set(CONTENT.labels)
    assert repository.github.issue(created.number) == created
    assert numbers(repository) == numbers(repository, "PRODUCTION") == [created.number]
    assert numbers(repository, "other") == []
    assert repository.github.issue(created.number + 1) is None


def test_issues_are_listed_newest_first_and_closed_ones_too(repository: ContractRepository) -> None:
    created = [repository.github.create_issue(CONTENT).number for _ in range(3)]
    repository.github.update_issue(created[0], CONTENT, close=True)
    assert numbers(repository) == list(reversed(created))


def test_a_list_of_many_pages_is_read_to_its_end(repository: ContractRepository) -> None:
    created = [repository.github.create_issue(CONTENT).number for _ in range(201)]
    assert numbers(repository) == list(reversed(created))


def test_a_list_leaves_out_issues_that_did_not_change_since(repository: ContractRepository) -> None:
    first = repository.github.create_issue(CONTENT)
    repository.pass_time(3600)
    second = repository.github.create_issue(CONTENT)
    assert numbers(repository, since=second.created_at) == [second.number]
    repository.pass_time(3600)
    repository.github.add_comment(first.number, "changed")
    assert set(numbers(repository, since=second.created_at)) == {first.number, second.number}


def test_a_list_shows_a_new_issue_late_and_its_number_at_once(repository: ContractRepository) -> None:
    repository.delay_lists(60)
    created = repository.github.create_issue(CONTENT)
    assert numbers(repository) == []
    assert repository.github.issue(created.number) is not None
    repository.pass_time(61)
    assert numbers(repository) == [created.number]


def test_an_update_replaces_title_and_body_and_closes_only_if_asked(repository: ContractRepository) -> None:
    number = repository.github.create_issue(CONTENT).number
    changed = CONTENT.model_copy(update={"title": "Done", "body": "Why not"})
    repository.github.update_issue(number, changed, close=False)
    opened = repository.github.issue(number)
    assert opened is not None
    assert (opened.title, opened.body, opened.state) == ("Done", "Why not", "open")
    assert set(opened.labels) == set(CONTENT.labels)
    repository.github.update_issue(number, changed, close=True)
    closed = repository.github.issue(number)
    assert closed is not None
    assert closed.state == "closed"


def test_comments_are_listed_oldest_first(repository: ContractRepository) -> None:
    number = repository.github.create_issue(CONTENT).number
    for text in ("first", "second"):
        repository.github.add_comment(number, text)
    assert [comment.body for comment in repository.github.comments(number)] == ["first", "second"]


@pytest.mark.parametrize(
    "content",
    [
        CONTENT.model_copy(update={"body": "x" * (BODY_LIMIT + 1)}),
        CONTENT.model_copy(update={"title": "x" * (TITLE_LIMIT + 1)}),
        CONTENT.model_copy(update={"title": ""}),
        CONTENT.model_copy(update={"assignees": ("nobody",)}),
    ],
    ids=["long body", "long title", "no title", "unknown assignee"],
)
def test_an_issue_beyond_githubs_limits_is_refused_and_not_created(
    repository: ContractRepository, content: IssueContent
) -> None:
    with pytest.raises(CallRefused):
        repository.github.create_issue(content)
    assert numbers(repository) == []


def test_the_longest_body_is_accepted(repository: ContractRepository) -> None:
    body = "x" * BODY_LIMIT
    created = repository.github.create_issue(CONTENT.model_copy(update={"body": body}))
    assert created.body == body


def test_a_repository_without_issues_refuses_them_for_good(repository: ContractRepository) -> None:
    repository.disable_issues()
    with pytest.raises(Gone):
        repository.github.create_issue(CONTENT)
    with pytest.raises(Gone):
        numbers(repository)
    assert repository.github.issue(1) is None


def test_a_lost_answer_leaves_the_outcome_unknown(repository: ContractRepository) -> None:
    repository.lose_next_answer("POST", "/issues$")
    with pytest.raises(ExternalServiceError) as lost:
        repository.github.create_issue(CONTENT)
    assert type(lost.value) is ExternalServiceError
    assert len(numbers(repository)) == 1


def test_a_limited_call_does_nothing_and_says_how_long_to_wait(repository: ContractRepository) -> None:
    repository.limit_next("POST", "/issues$", seconds=77)
    with pytest.raises(RateLimited) as limited:
        repository.github.create_issue(CONTENT)
    assert limited.value.retry_after_seconds == 77
    assert numbers(repository) == []
