"""Error lines of a release while it was good: its own measure for the error lines of a later time."""

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field


class LogBaseline(BaseModel):
    """Error lines in full minutes of the bake, recorded at promotion.

    Attributes:
        requests: requests in the same minutes; None: no load balancer counts them.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")  # a newer version may have written it

    since: AwareDatetime
    until: AwareDatetime
    errors: float = Field(ge=0)
    requests: float | None = Field(default=None, ge=0)

    @property
    def minutes(self) -> float:
        """Length of the window."""
        return (self.until - self.since).total_seconds() / 60
