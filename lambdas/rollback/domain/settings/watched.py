"""Settings of what is watched besides the load balancer: queues, and alarms of the team's own."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field


class Starts(StrEnum):
    """Rollback that an alarm of the team's own starts."""

    EVIDENCE = "evidence"
    SERVICE = "service"
    EMERGENCY = "emergency"


class Unwatched(StrEnum):
    """Resource that the settings don't name, so that nothing is known about it."""

    LOG_GROUP = "log_group"
    REPOSITORY = "repository"


class Queue(BaseModel):
    """An SQS queue that the service reads; its oldest message shows whether the service keeps up."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    queue: str = Field(description="name, URL or ARN of an SQS queue that this service reads, and no other")
    max_age_seconds: int = Field(
        default=300, ge=1, le=1_209_600, description="age of the oldest message from which the service is degraded"
    )


class ExtraAlarm(BaseModel):
    """An alarm of the team's own, metric or composite."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    alarm: str = Field(description="name or ARN of a CloudWatch alarm in the account and region of the environment")
    starts: Starts = Field(
        default=Starts.SERVICE,
        description="`service` or `emergency`: the rollback that the alarm starts. `evidence`: none; a release is not "
        "promoted, and a rollback not verified, while the alarm is in ALARM",
    )
