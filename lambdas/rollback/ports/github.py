"""Port to GitHub: one repository's commit statuses, deployments and issues."""

from collections.abc import Iterator
from datetime import datetime
from typing import Protocol

from rollback.effects import changes_state, reads
from rollback.resources.github.commit_status import CommitStatus
from rollback.resources.github.deployment import Deployment, DeploymentStatus
from rollback.resources.github.issue import Comment, Issue, IssueContent


class GitHub(Protocol):
    """One repository. A change is sent once; a caller looks for its effect before it sends the change again."""

    @reads
    def full_sha(self, commit: str) -> str:
        """Return the SHA of a commit in 40 digits; the beginning of the SHA names the commit too.

        Raises:
            CallRefused: the repository has no such commit, or the name is a branch or tag.
        """
        ...

    @reads
    def commit_status(self, sha: str, context: str) -> CommitStatus | None:
        """Return the newest status of a context at a commit, or None; contexts ignore case."""
        ...

    @changes_state
    def set_commit_status(self, sha: str, status: CommitStatus) -> None:
        """Add a status to a commit.

        Raises:
            CallRefused: the repository has no such commit, or has 1,000 statuses of that context there.
        """
        ...

    @reads
    def deployment(self, sha: str, environment: str) -> Deployment | None:
        """Return the newest deployment of a commit to an environment, or None."""
        ...

    @reads
    def deployment_status(self, deployment_id: int) -> DeploymentStatus | None:
        """Return the newest status of a deployment, or None."""
        ...

    @changes_state
    def set_deployment_status(self, deployment_id: int, status: DeploymentStatus) -> None:
        """Add a status to a deployment. Other deployments keep their statuses."""
        ...

    @reads
    def issues(self, label: str, since: datetime) -> Iterator[Issue]:
        """Iterate over open and closed issues with a label that changed at `since` or later, newest first.

        A new issue may be missing for some minutes. Pull requests are left out.
        """
        ...

    @reads
    def issue(self, number: int) -> Issue | None:
        """Return an issue, or None if it was deleted or moved out of sight."""
        ...

    @changes_state
    def create_issue(self, content: IssueContent) -> Issue:
        """Create an issue.

        Raises:
            CallRefused: the repository's issues are disabled, or the credential may not write them.
        """
        ...

    @changes_state
    def update_issue(self, number: int, content: IssueContent, *, close: bool) -> None:
        """Replace title and body, and close the issue if asked. All else stays as the team set it."""
        ...

    @reads
    def comments(self, number: int) -> Iterator[Comment]:
        """Iterate over the comments of an issue, oldest first."""
        ...

    @changes_state
    def add_comment(self, number: int, body: str) -> None:
        """Add a comment to an issue."""
        ...
