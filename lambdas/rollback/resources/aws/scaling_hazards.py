"""Hazards that could start a task of a service behind a fence.

A fence sets the desired count to 0 and suspends scaling in, out and scheduled (rule 2: no registration lifts the count
while the fence holds). These hazards remain:

- A predictive scaling policy scales by forecast. No flag of SuspendedState is documented to suspend it (Application
  Auto Scaling API reference, SuspendedState). The rollback is refused before the fence.
- An operator or a pipeline calls UpdateService, or CloudFormation sets the desired count. The fence checks the count in
  every round and stops the service again.
- A daemon service has no desired count. It is refused as not supported.
- RunTask, such as a schedule of EventBridge, starts tasks that are no tasks of the service. The fence finds them as
  clients of the database and refuses (rule 8: no foreign client is connected).

Availability Zone rebalancing replaces tasks that run, so it starts none at a desired count of 0 (ECS developer guide,
"Balancing an Amazon ECS service across Availability Zones").
"""

from collections.abc import Sequence

from rollback.check import Check, Verdict
from rollback.domain.settings.environment import ServiceSettings

CHECK_NAME = "nothing-starts-tasks"


def check_scaling_hazards(
    service: ServiceSettings, predictive: Sequence[str], *, is_fenced_next: bool = False
) -> Check:
    """Check that a fence around the service would hold.

    Args:
        service: the service to fence.
        predictive: names of its predictive scaling policies.
        is_fenced_next: the check belongs to a plan that restores the database, not to a readiness check.
    """
    if not predictive:
        return Check.passed(CHECK_NAME, f"no policy scales {service.name} by forecast")
    reason = (
        f"{service.name} is scaled by forecast ({', '.join(sorted(predictive))}), which can't be suspended and could "
        "start tasks behind a fence: set its mode to ForecastOnly before the database is rolled back"
    )
    return Check(name=CHECK_NAME, verdict=Verdict.FAIL if is_fenced_next else Verdict.WARN, reason=reason)
