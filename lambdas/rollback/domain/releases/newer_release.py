"""A deployment of the team that began after the plan was made: a rollback must not replace a fix.

Facts from the ECS API reference (ServiceDeployment):
    - Each UpdateService that deploys creates a service deployment.
    - A rollback by ECS itself creates none. It sets the failed deployment's status to `ROLLBACK_…` and changes PRIMARY.
    - A circuit breaker without rollback ends the deployment as `STOPPED`.
"""

from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from rollback.resources.aws.ecs_service import (
    ENDED_ELSEWHERE,
    ROLLING_BACK,
    DeployedRevision,
    ServiceDeployment,
    ServiceView,
)
from rollback.resources.aws.primary_revision import is_unlisted

_GIVEN_UP = ROLLING_BACK | ENDED_ELSEWHERE | {"STOP_REQUESTED"}


class DeploymentStatus(StrEnum):
    """Status of a deployment."""

    COMPLETED = "completed"
    IN_FLIGHT = "in_flight"
    FAILED = "failed"  # ECS gave it up, or rolled it back


class NewerRelease(BaseModel):
    """A deployment of the team during the rollback; part of the document, for the report."""

    model_config = ConfigDict(frozen=True, extra="ignore")  # a newer version may have written it

    version: str
    definition_arn: str
    began_at: AwareDatetime
    is_replaced_release_redeployed: bool = Field(
        default=False, description="the release that the rollback replaces, deployed once more"
    )
    why_replaced: str = Field(default="", description="why the rollback replaced the deployment; empty: it did not")

    @property
    def in_words(self) -> str:
        """Version, time and definition."""
        remark = ", the same release that the rollback left," if self.is_replaced_release_redeployed else ""
        definition = self.definition_arn.rsplit("/", 1)[-1]
        return f"{self.version}{remark} deployed at {self.began_at:%H:%M:%S} UTC ({definition})"


class LatestDeployment(BaseModel):
    """The deployment that decides what will run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    deployed: DeployedRevision
    status: DeploymentStatus

    @property
    def began_at(self) -> datetime:
        """Begin of the deployment, as ECS gives it."""
        return self.deployed.began_at


def latest_deployment(view: ServiceView) -> LatestDeployment:
    """Read the newest service deployment; read PRIMARY if ECS lists none, or not yet the newest.

    A status that ECS may add later counts as in flight, so the rollback waits for it.
    """
    newest, primary = view.newest, view.primary
    if newest is None or not _is_listed(view, newest):
        return LatestDeployment(
            deployed=primary.deployed,
            status={"COMPLETED": DeploymentStatus.COMPLETED, "FAILED": DeploymentStatus.FAILED}.get(
                primary.rollout_state, DeploymentStatus.IN_FLIGHT
            ),
        )
    status = DeploymentStatus.COMPLETED if newest.status == "SUCCESSFUL" else DeploymentStatus.IN_FLIGHT
    gave_up = primary.definition_arn == newest.target_definition_arn and primary.rollout_state == "FAILED"
    if newest.status in _GIVEN_UP or gave_up:
        status = DeploymentStatus.FAILED
    return LatestDeployment(deployed=newest.target, status=status)


def _is_listed(view: ServiceView, newest: ServiceDeployment) -> bool:
    """Whether PRIMARY belongs to the newest service deployment or is older.

    The same definition may have been deployed again by force since.
    """
    primary = view.primary
    if primary.created_at <= newest.created_at:
        return True
    if primary.definition_arn not in (newest.target_definition_arn, newest.source_definition_arn):
        return False
    return not is_unlisted(primary, newest)


def newest_known_at(view: ServiceView) -> datetime:
    """Begin of the newest deployment that a plan knows, by ECS's clock, which may differ from ours."""
    times = [view.primary.created_at]
    if view.newest is not None:
        times.append(view.newest.created_at)
    return max(times)


def may_be_newer(latest: LatestDeployment, known_until: datetime) -> bool:
    """Whether the deployment began after the plan.

    Rule 5: our own deployments trigger no rollback, and the caller leaves them out.
    """
    return latest.began_at > known_until


def expire_in_flight(latest: LatestDeployment, now: datetime, patience: timedelta) -> DeploymentStatus:
    """Turn a deployment that does not settle in time into a failed one: it is no fix.

    `guards.rules.check_no_fix_in_flight` does the same for a deployment before the rollback.
    """
    if latest.status is DeploymentStatus.IN_FLIGHT and now - latest.began_at > patience:
        return DeploymentStatus.FAILED
    return latest.status
