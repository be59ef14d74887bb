"""Counts of error lines in a service's log."""

from pydantic import BaseModel, ConfigDict, Field


class ErrorLogCount(BaseModel):
    """Error lines in some minutes.

    Attributes:
        minutes_with_data: minutes in which any line arrived. A metric filter publishes its default value 0 only for
            minutes with log events (CloudWatch Logs user guide, "Creating metric filters":
            https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/MonitoringLogData.html).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    errors: float = Field(default=0, ge=0)
    minutes_with_data: int = Field(default=0, ge=0)
