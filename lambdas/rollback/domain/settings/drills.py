"""Settings of drills: rollbacks that are rehearsed and measured, by hand or on a schedule."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

# A schedule of EventBridge Scheduler that repeats; `at(...)` runs once and is no rehearsal.
# https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
_REPEATING = r"^(rate\([1-9][0-9]* (minutes?|hours?|days?)\)|cron\([^()]+\))$"
_PRODUCTION = frozenset({"production", "prod"})


class DrillSettings(BaseModel):
    """Drills of one environment; without a schedule only operators start drills."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schedule: str | None = Field(
        default=None,
        pattern=_REPEATING,
        description="when a drill of each service starts, such as `cron(0 10 ? * TUE *)` or `rate(7 days)`",
    )
    scenario: Literal["service", "emergency", "database"] = Field(
        default="service", description="type of the rollback that the schedule rehearses"
    )
    timezone: str = Field(default="UTC", min_length=1, max_length=50, description="IANA name; used by `cron(...)`")
    allow_production_drills: bool = Field(
        default=False, description="whether an environment called `production` or `prod` may be drilled"
    )
    max_age_days: float = Field(
        default=30, gt=0, description="age of the last successful drill beyond which an alarm pages; needs a schedule"
    )

    def why_forbidden_in(self, environment: str) -> str | None:
        """Return the reason why no drill may run in an environment of this name; None: drills may run."""
        if environment.lower() not in _PRODUCTION or self.allow_production_drills:
            return None
        return (
            f"drills.allow_production_drills is false, and {environment} is production; allowed is true, once the team "
            "accepts that a drill restarts tasks there"
        )
