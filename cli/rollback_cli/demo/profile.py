"""Production's settings with short waits: what takes minutes in AWS takes seconds on the stage.

Two clocks: the cloud's own waits (alarm periods, task starts, Step Functions' Wait) are divided by `SCALE`; what the
functions decide by is real time, and therefore short here.
"""

from collections.abc import Mapping
from typing import Any

from rollback.resources.aws.ecs_service import SCALING_FLAGS, ScalableTarget

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
_ALARMS = {
    "outage_evaluation_periods": 1,  # a sudden outage is seen as one at once, not first as the degradation it also is
    "max_p95_latency_seconds": 15,  # a busy machine is slow, and no story is about that
}
# How a story has its service scaled, if it is scaled at all.
AUTOSCALING = ScalableTarget(
    min_capacity=2,
    max_capacity=6,
    suspended={**dict.fromkeys(SCALING_FLAGS, False), "ScheduledScalingSuspended": True},
)

# In an assembly that is kept, in the place of what is another one each time; each as the settings want it to look.
_PLACEHOLDERS = {
    "project_id": "standing-for-project",
    "branch_id": "br-standing-for-branch",
    "api_key_secret_arn": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:standing-for-key-AbCdEf",
    "api_url": "http://neon.invalid/api/v2",
    "connection_secret_arn": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:standing-for-uri-AbCdEf",
}
DATABASE_PLACEHOLDERS: dict[str, Any] = {
    **_PLACEHOLDERS,
    "database": "app",
    "role": "app_owner",
    "window_margin_minutes": 0,  # the project's whole history is younger than the default
}
# The sessions are named in the address that the tasks are given; `/api/status` answers only with what it reads.
APPLICATION_NAME = "express-api"
CONNECTION = {"application_name": APPLICATION_NAME, "check_path": "/api/status"}
SECRET_PLACEHOLDERS = {"DATABASE_URL": _PLACEHOLDERS["connection_secret_arn"]}


def placeholder_values(real: Mapping[str, str]) -> dict[str, str]:
    """What stands for it, and what is meant; `real` are settings of the database, without those that are constant."""
    return {placeholder: real[name] for name, placeholder in _PLACEHOLDERS.items()}


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
        "services": [{"base_url": base_url, "workload": workload, **({"connection": CONNECTION} if database else {})}],
        **({"database": database} if database else {}),
    }
