"""Statuses of deployments: the bad commit's deployment has failed, and the target's is active again.

No deployment is created, since GitHub's event `deployment` starts pipelines.
"""

from rollback.delivery.github.ports import GitHubPorts
from rollback.delivery.github.status_rules import DeploymentVerdict, deployment_verdicts
from rollback.domain.delivery.delivery import Channel, Delivery
from rollback.domain.rollback import Rollback
from rollback.errors import CallRefused, RefusalKind
from rollback.reports.execution_link import execution_link


class DeploymentStatusChannel:
    """Channel that sets the statuses of deployments in the GitHub environment of the settings."""

    name: Channel = Channel.DEPLOYMENT_STATUS

    def key(self, rollback: Rollback, ports: GitHubPorts) -> str | None:
        """Name the outcome. None: no environment is configured, or the deployments stay as they are."""
        return f"{rollback.evaluations}:{rollback.outcome}" if _verdicts(rollback, ports) else None

    def send(self, rollback: Rollback, last: Delivery | None, ports: GitHubPorts) -> str:  # noqa: ARG002
        """Set each status, unless the deployment has it already. Returns what was set, and what was not found.

        Raises:
            CallRefused: the credential may not set a status.
            ExternalServiceError: GitHub did not answer.
        """
        github = ports.settings.github
        environment = github.deployment_environment if github is not None else None
        if environment is None:
            return "no deployment environment is configured"
        return "; ".join(_show(verdict, environment, ports) for verdict in _verdicts(rollback, ports))


def _verdicts(rollback: Rollback, ports: GitHubPorts) -> tuple[DeploymentVerdict, ...]:
    github = ports.settings.github
    if github is None or github.deployment_environment is None:
        return ()
    return deployment_verdicts(rollback, execution_link(rollback.execution))


def _show(verdict: DeploymentVerdict, environment: str, ports: GitHubPorts) -> str:
    try:
        sha = ports.github.full_sha(verdict.commit)
    except CallRefused as refused:
        if refused.kind is not RefusalKind.NOT_FOUND:
            raise
        return f"{verdict.commit}: the repository has no such commit"
    deployment = ports.github.deployment(sha, environment)
    if deployment is None:
        return f"{sha}: no deployment to {environment}"
    if ports.github.deployment_status(deployment.id) != verdict.status:
        ports.github.set_deployment_status(deployment.id, verdict.status)
    return f"{sha}: deployment {deployment.id} {verdict.status.state}"
