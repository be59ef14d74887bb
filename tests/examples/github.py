"""Example calls of the port to GitHub (`rollback.ports.github`)."""

from datetime import timedelta

from examples.calls import EachOf, Example
from fakes.clock import FakeClock
from fakes.github import FakeGitHub
from support.builders import NOW

from rollback.resources.github.commit_status import CommitState, CommitStatus
from rollback.resources.github.deployment import DeploymentState, DeploymentStatus
from rollback.resources.github.issue import IssueContent

SHA, OTHER_SHA, UNKNOWN_SHA = "1a2b3c4d" + "0" * 32, "5e6f7a8b" + "0" * 32, "9" * 40
STATUS = CommitStatus(state=CommitState.PENDING, context="rollback", description="under way")
ROLLED_BACK = DeploymentStatus(state=DeploymentState.FAILURE, description="rolled back")
CONTENT = IssueContent(title="Rollback", body="Why", labels=("rollback",), assignees=("ada",))
CHANGED = CONTENT.model_copy(update={"title": "Another", "body": "Else"})


def github() -> FakeGitHub:
    """Return a repository with two commits, a deployment of each, and two issues."""
    fake = FakeGitHub(FakeClock(NOW))
    fake.commits |= {SHA, OTHER_SHA}
    fake.assignable = {"ada"}
    fake.set_commit_status(SHA, STATUS)
    fake.set_commit_status(OTHER_SHA, STATUS.model_copy(update={"state": CommitState.ERROR}))
    fake.deploy(SHA, "production")
    fake.deploy(OTHER_SHA, "production")
    fake.deploy(SHA, "staging")
    fake.set_deployment_status(2, ROLLED_BACK)
    fake.create_issue(CONTENT)
    fake.create_issue(CHANGED.model_copy(update={"labels": ("other",)}))
    fake.add_comment(2, "a comment")
    return fake


_CONTENTS = EachOf((CHANGED,))
EXAMPLES: dict[str, Example] = {
    "GitHub.full_sha": Example({"commit": SHA[:8]}, {"commit": EachOf((OTHER_SHA[:8], UNKNOWN_SHA))}),
    "GitHub.commit_status": Example(
        {"sha": SHA, "context": "rollback"}, {"sha": EachOf((OTHER_SHA, UNKNOWN_SHA)), "context": "else"}
    ),
    "GitHub.set_commit_status": Example(
        {"sha": SHA, "status": STATUS},
        {"sha": EachOf((OTHER_SHA, UNKNOWN_SHA)), "status": STATUS.model_copy(update={"description": "done"})},
    ),
    "GitHub.deployment": Example(
        {"sha": SHA, "environment": "production"}, {"sha": OTHER_SHA, "environment": EachOf(("staging", "qa"))}
    ),
    "GitHub.deployment_status": Example({"deployment_id": 1}, {"deployment_id": EachOf((2, 9))}),
    "GitHub.set_deployment_status": Example(
        {"deployment_id": 1, "status": ROLLED_BACK},
        {
            "deployment_id": EachOf((2, 9)),
            "status": ROLLED_BACK.model_copy(update={"state": DeploymentState.INACTIVE}),
        },
    ),
    "GitHub.issues": Example(
        {"label": "rollback", "since": NOW - timedelta(days=1)},
        {"label": EachOf(("other", "none")), "since": NOW + timedelta(days=1)},
    ),
    "GitHub.issue": Example({"number": 1}, {"number": EachOf((2, 9))}),
    "GitHub.create_issue": Example({"content": CONTENT}, {"content": _CONTENTS}),
    "GitHub.update_issue": Example(
        {"number": 1, "content": CHANGED, "close": True},
        {"number": EachOf((2, 9)), "content": CONTENT, "close": False},
    ),
    "GitHub.comments": Example({"number": 2}, {"number": EachOf((1, 9))}),
    "GitHub.add_comment": Example({"number": 1, "body": "text"}, {"number": EachOf((2, 9)), "body": "other"}),
}
