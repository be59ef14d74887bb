"""The status of the bad commit: pending while the rollback runs, then a verdict."""

from rollback.delivery.github.ports import GitHubPorts
from rollback.delivery.github.status_rules import bad_commit, commit_status
from rollback.domain.delivery.delivery import Channel, Delivery
from rollback.domain.rollback import Rollback
from rollback.reports.execution_link import execution_link
from rollback.resources.github.commit_status import CommitStatus


class CommitStatusChannel:
    """Channel that sets a commit status. The newest status of its context is shown at the commit."""

    name: Channel = Channel.COMMIT_STATUS

    def key(self, rollback: Rollback, ports: GitHubPorts) -> str | None:
        """Name the wanted state with its description. None: no status is configured, or no commit is known."""
        status = _wanted(rollback, ports)
        return None if status is None else f"{rollback.evaluations}:{status.state}:{status.description}"

    def send(self, rollback: Rollback, last: Delivery | None, ports: GitHubPorts) -> str:  # noqa: ARG002
        """Set the status, unless the commit shows it already. Returns the commit with its state.

        Raises:
            CallRefused: the repository has no such commit, or the credential may not set a status.
            ExternalServiceError: GitHub did not answer.
        """
        status, commit = _wanted(rollback, ports), bad_commit(rollback)
        if status is None or commit is None:
            return "no status: no commit is known"
        sha = ports.github.full_sha(commit)
        if ports.github.commit_status(sha, status.context) != status:
            ports.github.set_commit_status(sha, status)
        return f"{sha} {status.state}"


def _wanted(rollback: Rollback, ports: GitHubPorts) -> CommitStatus | None:
    github = ports.settings.github
    context = github.status_context(rollback.environment, rollback.service_name) if github is not None else None
    return None if context is None else commit_status(rollback, context, execution_link(rollback.execution))
