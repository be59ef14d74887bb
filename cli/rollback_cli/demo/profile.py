"""Settings of the demo environment: production's, with short waits, so that minutes in AWS are seconds in the demo.

There are two clocks. The embedded cloud divides its own waits (alarm periods, task starts, Step Functions' Wait) by
`SCALE`. The Lambda functions decide by real time, and so their limits are short here.
"""

from collections.abc import Mapping
from typing import Any

from rollback.resources.aws.ecs_service import SCALING_FLAGS, ScalableTarget

ENVIRONMENT = "production"
SCALE = 20.0

# Real time, in the units of the names.
_POLICY: dict[str, Any] = {
    "mode": "act",  # production of `cdk.json` observes at first
    "poll_seconds": 5,
    "verify_interval_seconds": 5,
    "verify_rounds": 3,
    "bake_minutes": 0.1,
    "bake_minimum_requests": 50,
    "bake_timeout_minutes": 5 * SCALE,  # also the limit of a state machine, which runs on the scaled clock
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
    "outage_evaluation_periods": 1,  # a sudden outage must not start a rollback as a degradation first
    "max_p95_latency_seconds": 15,  # a busy machine is slow, and no scenario is about latency
}
WITHOUT_APPROVALS: Mapping[str, Any] = {"required_for": ()}  # most scenarios have nobody who decides
# Application Auto Scaling of the service in scenarios that have it; scheduled scaling is suspended already.
AUTOSCALING = ScalableTarget(
    min_capacity=2,
    max_capacity=6,
    suspended={**dict.fromkeys(SCALING_FLAGS, False), "ScheduledScalingSuspended": True},
)

# Stand in the cached assembly for values that differ in each run; in the format that the settings demand.
_PLACEHOLDERS = {
    "project_id": "standing-for-project",
    "branch_id": "br-standing-for-branch",
    "api_key_secret_arn": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:standing-for-key-AbCdEf",
    "api_url": "http://localhost/stands-for-neon/api/v2",
    "connection_secret_arn": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:standing-for-uri-AbCdEf",
}
DATABASE_PLACEHOLDERS: dict[str, Any] = {
    **_PLACEHOLDERS,
    "database": "app",
    "role": "app_owner",
    "window_margin_minutes": 0,  # the whole history of the project is younger than the default margin
}
# The tasks' connection URI names their sessions; `/api/status` answers 200 only if its query succeeds.
APPLICATION_NAME = "express-api"
CONNECTION = {"application_name": APPLICATION_NAME, "check_path": "/api/status"}
SECRET_PLACEHOLDERS = {"DATABASE_URL": _PLACEHOLDERS["connection_secret_arn"]}


def placeholder_values(real: Mapping[str, str]) -> dict[str, str]:
    """Map each placeholder to its value in this run.

    Args:
        real: settings of the database that differ in each run, by name.
    """
    return {placeholder: real[name] for name, placeholder in _PLACEHOLDERS.items()}


# Roles for the workflows of GitHub Actions; nothing on this machine checks a token of GitHub's.
GITHUB_ACTIONS: dict[str, Any] = {"repository": "macro-ai/shop"}

# Most scenarios are about alarms. A watch by the functions' clock would look every half second for ten minutes.
RELEASE_WATCH: dict[str, Any] = {"watch_minutes": 0}

# The demo is production, where operators of the demo may run `rollback drill`.
DRILLS: dict[str, Any] = {"allow_production_drills": True}


def overrides(
    base_url: str,
    policy: Mapping[str, Any],
    database: Mapping[str, Any],
    secrets: Mapping[str, str],
    approval: Mapping[str, Any] = WITHOUT_APPROVALS,
    alarms: Mapping[str, Any] | None = None,
    release_watch: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the settings that replace those of production in `cdk.json`.

    Args:
        base_url: address of the application.
        policy: settings that replace those of this profile.
        database: settings of the database; empty: the environment has none.
        secrets: secrets of the container, variable → ARN.
        approval: settings of approvals.
        alarms: settings of alarms that replace those of this profile.
        release_watch: settings of the watch over fresh releases that replace those of this profile.
    """
    workload: dict[str, Any] = {
        "initial_desired_count": 0,
        "deregistration_delay_seconds": 5,
        "health_check_interval_seconds": 5,
        "secrets": secrets,
    }
    return {
        "policy": {**_POLICY, **policy},
        "drills": DRILLS,
        "release_watch": {**RELEASE_WATCH, **(release_watch or {})},
        "github_actions": GITHUB_ACTIONS,
        "approval": approval,
        "alarms": {**_ALARMS, **(alarms or {})},
        "workflow_timeout_minutes": 15 * SCALE,
        "services": [{"base_url": base_url, "workload": workload, **({"connection": CONNECTION} if database else {})}],
        **({"database": database} if database else {}),
    }
