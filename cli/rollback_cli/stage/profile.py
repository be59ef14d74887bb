"""Production's settings with short waits: what takes minutes in AWS takes seconds on the stage.

Two clocks: the cloud's own waits (alarm periods, task starts, Step Functions' Wait) are divided by `SCALE`; what the
functions decide by is real time, and therefore short here.
"""

from collections.abc import Mapping
from typing import Any

ENVIRONMENT = "production"
SCALE = 20.0

# Real time, in the units that the names say.
_POLICY: dict[str, float | int] = {
    "poll_seconds": 5,
    "verify_interval_seconds": 5,
    "verify_rounds": 3,
    "bake_minutes": 0.1,
    "bake_minimum_requests": 50,
    "bake_timeout_minutes": 5 * SCALE,  # it is the limit of a state machine too, which runs on the other clock
    "alarm_without_rollback_minutes": 0.5,
    "recheck_minutes": 0.5,
    "cooldown_minutes": 0.25,
    "traffic_window_minutes": 0.25,
    "service_timeout_minutes": 2,
    "stuck_minutes": 0.5,
    "emergency_timeout_minutes": 0.6,
    "restart_timeout_minutes": 1,
    "alarm_settle_minutes": 0.5,
    "verify_timeout_minutes": 2,
    "conclude_timeout_minutes": 2,
    "readiness_minutes": 0.5,
}
# A sudden outage is seen as one at once, not first as the degradation that it also is.
_ALARMS = {"outage_evaluation_periods": 1}


def overrides(
    base_url: str, policy: Mapping[str, Any], database: Mapping[str, Any], secrets: Mapping[str, str]
) -> dict[str, Any]:
    """What the stage changes of the production settings in `cdk.json`; `policy` goes over the one above.

    Args:
        database: settings of the environment's; empty: it has none.
        secrets: of the container, variable → ARN.
    """
    workload: dict[str, Any] = {
        "initial_desired_count": 0,
        "deregistration_delay_seconds": 5,
        "health_check_interval_seconds": 5,
        "secrets": secrets,
    }
    return {
        "policy": {**_POLICY, **policy},
        "alarms": _ALARMS,
        "workflow_timeout_minutes": 15 * SCALE,
        "services": [{"base_url": base_url, "workload": workload}],
        **({"database": database} if database else {}),
    }
