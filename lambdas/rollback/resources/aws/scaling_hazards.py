"""What could start a task of a service behind a fence, where none may write.

A fence sets the desired count to 0 and suspends the scalable target's scaling in, out and scheduled (rule 2). What it
can't hold back, and what each is met with:

- a predictive scaling policy that scales by forecast: no flag of SuspendedState is documented to suspend it
  (Application Auto Scaling API reference, SuspendedState): refused before the fence;
- a person or a pipeline that calls UpdateService, or CloudFormation that sets the desired count: the fence looks at
  every round whether it still stands, and stops the service again;
- a daemon service: it has no desired count, and is refused as not supported;
- tasks started by RunTask (a schedule of EventBridge): of another family or by hand, they are no tasks of the service;
  the fence finds them as clients of the database (rule 8), and refuses.

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
    """Whether a fence around the service would hold.

    Args:
        predictive: names of the policies that scale it by forecast.
        is_fenced_next: the check is of a plan with the database, not of the readiness.
    """
    if not predictive:
        return Check.passed(CHECK_NAME, "no policy scales it by forecast")
    reason = (
        f"{service.name} is scaled by forecast ({', '.join(sorted(predictive))}), which can't be suspended and could "
        "start tasks behind a fence: set its mode to ForecastOnly before the database goes back"
    )
    return Check(name=CHECK_NAME, verdict=Verdict.FAIL if is_fenced_next else Verdict.WARN, reason=reason)
