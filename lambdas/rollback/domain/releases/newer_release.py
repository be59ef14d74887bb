"""A deployment of the team's that began after the plan was made: a rollback must not replace the fix that it missed.

Facts from the ECS API reference (ServiceDeployment): each UpdateService that deploys makes a service deployment; a
rollback by ECS itself makes none, it turns the status of the failed one into `ROLLBACK_…` and changes PRIMARY only. A
circuit breaker without rollback ends it as `STOPPED`.
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


class Standing(StrEnum):
    """How a deployment stands."""

    STANDS = "stands"
    IN_FLIGHT = "in_flight"
    FAILED = "failed"  # ECS gave it up, or went back from it


class NewerRelease(BaseModel):
    """A deployment that the team made while the rollback was under way; part of the document, for the report."""

    model_config = ConfigDict(frozen=True, extra="ignore")  # a newer version may have written it

    version: str
    definition_arn: str
    began_at: AwareDatetime
    is_left_again: bool = Field(default=False, description="the release that the rollback leaves, deployed once more")
    why_replaced: str = Field(default="", description="why the rollback went on all the same; empty: it did not")

    @property
    def in_words(self) -> str:
        """Version, time and definition."""
        again = ", the same release that the rollback left," if self.is_left_again else ""
        definition = self.definition_arn.rsplit("/", 1)[-1]
        return f"{self.version}{again} deployed at {self.began_at:%H:%M:%S} UTC ({definition})"


class LatestDeployment(BaseModel):
    """The deployment that decides what will run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    deployed: DeployedRevision
    standing: Standing

    @property
    def began_at(self) -> datetime:
        """When it began, in ECS's words."""
        return self.deployed.began_at


def latest_deployment(view: ServiceView) -> LatestDeployment:
    """From the newest service deployment; from PRIMARY where ECS lists no service deployment, or not yet the newest.

    A status that ECS may add one day counts as in flight: it is waited for.
    """
    newest, primary = view.newest, view.primary
    if newest is None or not _is_listed(view, newest):
        return LatestDeployment(
            deployed=primary.deployed,
            standing={"COMPLETED": Standing.STANDS, "FAILED": Standing.FAILED}.get(
                primary.rollout_state, Standing.IN_FLIGHT
            ),
        )
    standing = Standing.STANDS if newest.status == "SUCCESSFUL" else Standing.IN_FLIGHT
    gave_up = primary.definition_arn == newest.target_definition_arn and primary.rollout_state == "FAILED"
    if newest.status in _GIVEN_UP or gave_up:
        standing = Standing.FAILED
    return LatestDeployment(deployed=newest.target, standing=standing)


def _is_listed(view: ServiceView, newest: ServiceDeployment) -> bool:
    """Whether PRIMARY is of the newest service deployment, or older. The same definition may have been forced since."""
    primary = view.primary
    if primary.created_at <= newest.created_at:
        return True
    if primary.definition_arn not in (newest.target_definition_arn, newest.source_definition_arn):
        return False
    return not is_unlisted(primary, newest)


def newest_known_at(view: ServiceView) -> datetime:
    """When the newest deployment began that a plan knows of, in ECS's own words: its clock may differ from ours."""
    times = [view.primary.created_at]
    if view.newest is not None:
        times.append(view.newest.created_at)
    return max(times)


def may_be_newer(latest: LatestDeployment, known_until: datetime) -> bool:
    """Whether it began after the plan; one that a rollback deploys is none all the same (rule 5, `running.is_ours`)."""
    return latest.began_at > known_until


def in_time(latest: LatestDeployment, now: datetime, patience: timedelta) -> Standing:
    """A deployment that does not settle is no fix: `guards.no_fix_on_its_way` says so of one before the rollback."""
    if latest.standing is Standing.IN_FLIGHT and now - latest.began_at > patience:
        return Standing.FAILED
    return latest.standing
