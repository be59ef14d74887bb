"""Traffic of a service as its load balancer counted it, minute by minute."""

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field


class TrafficMinute(BaseModel):
    """One minute of traffic.

    Elastic Load Balancing reports a count only above zero, so a missing count is 0
    (https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-cloudwatch-metrics.html).

    Attributes:
        at: begin of the minute.
        requests: requests for which the load balancer chose a target.
        target_errors: answers of targets with a status 5xx.
        balancer_errors: answers 5xx of the load balancer itself; None: they were not counted.
        p95_seconds: 95th percentile of the targets' answer times; None: no target answered.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    at: AwareDatetime
    requests: float = Field(default=0, ge=0)
    target_errors: float = Field(default=0, ge=0)
    balancer_errors: float | None = Field(default=None, ge=0)
    p95_seconds: float | None = Field(default=None, ge=0)

    @property
    def failed(self) -> float:
        """Requests that were answered with a status 5xx."""
        return self.target_errors + (self.balancer_errors or 0)

    @property
    def total(self) -> float:
        """All counted requests: `requests` leaves out those that found no target, which only `balancer_errors` has."""
        return max(self.requests, self.target_errors) + (self.balancer_errors or 0)
