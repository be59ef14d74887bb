"""Settings of the watch over fresh releases."""

from pydantic import BaseModel, ConfigDict, Field


class ReleaseWatchSettings(BaseModel):
    """Length and closeness of the watch over a fresh release; outside of it the alarms alone are in charge."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    watch_minutes: float = Field(
        default=10, ge=0, le=60, description="time after the deployment has settled; 0 turns the watch off"
    )
    watch_interval_seconds: int = Field(default=10, ge=5, le=300, description="time between two looks")
    watch_probes: int = Field(
        default=12, ge=1, le=60, description="requests to the service's endpoints in each interval, all together"
    )
    watch_min_evidence: int = Field(
        default=20, ge=5, description="least number of answers on which the watch starts a rollback"
    )

    @property
    def is_on(self) -> bool:
        """Whether fresh releases are watched."""
        return self.watch_minutes > 0
