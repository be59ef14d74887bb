"""Names that the stacks and the run time share."""

import re

LAST_KNOWN_GOOD = "last-known-good"
SYNONYMS_OF_LAST_KNOWN_GOOD = frozenset({LAST_KNOWN_GOOD, "last-stable"})


def degraded_alarm(prefix: str, service: str) -> str:
    """Name the composite alarm that starts a service rollback."""
    return f"{prefix}-{service}-degraded"


OUTAGE_SUFFIX = "-outage"


def outage_alarm(prefix: str, service: str) -> str:
    """Name the composite alarm that starts an emergency rollback."""
    return f"{prefix}-{service}{OUTAGE_SUFFIX}"


# Leaf alarms about error rates and latencies, which say nothing when there are few requests.
RATE_ALARMS = ("error-rate", "latency", "near-total-errors")
# Leaf alarms about tasks, targets, queues and logs, which count without traffic too.
ERROR_LOGS, UNHEALTHY_TARGETS, TASK_SHORTFALL = "error-logs", "unhealthy-targets", "task-shortfall"
NO_HEALTHY_TARGETS = "no-healthy-targets"
TARGET_RESETS, TASK_EXITS, QUEUE_AGE, NO_RUNNING_TASKS = "target-resets", "task-exits", "queue-age", "no-running-tasks"
STATE_ALARMS = (
    ERROR_LOGS,
    UNHEALTHY_TARGETS,
    TASK_SHORTFALL,
    NO_HEALTHY_TARGETS,
    TARGET_RESETS,
    TASK_EXITS,
    QUEUE_AGE,
    NO_RUNNING_TASKS,
)
MAX_TARGET_GROUPS = 8  # per service; ECS allows five (Amazon ECS Developer Guide, "Register multiple target groups")
MAX_QUEUES = MAX_TARGET_GROUPS  # per service; as many alarms of one kind as `leaf_alarms` lists


def leaf_alarm(prefix: str, service: str, name: str, number: int = 0) -> str:
    """Name a leaf alarm, which is evidence only.

    Args:
        prefix: prefix of the environment.
        service: name of the service.
        name: kind of the alarm.
        number: counts alarms of one kind from 0, one for each target group or some target groups.
    """
    return f"{prefix}-{service}-{name}{f'-{number + 1}' if number else ''}"


def leaf_alarms(prefix: str, service: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """List all names that leaf alarms of these kinds may have; most services have only the first of each."""
    return tuple(leaf_alarm(prefix, service, name, number) for name in names for number in range(MAX_TARGET_GROUPS))


METRIC_NAMESPACE = "Rollback"


def metric_dimensions(application: str, environment: str) -> dict[str, str]:
    """Return the dimensions of all metrics of a deployment, so that its janitor can't hide another's silence."""
    return {"Application": application, "Environment": environment}


METRIC_ROLLBACK_AVAILABLE = "RollbackAvailable"  # 1 if a release exists to go back to, and no check fails; else 0
METRIC_STALE_LEASES = "StaleLeases"  # leases that ran out and were not given back
METRIC_DAYS_SINCE_DRILL = "DaysSinceDrill"  # age of the last successful drill; written if drills have a schedule
METRIC_SWEEPS = "JanitorSweeps"
METRIC_ROLLBACKS = "Rollbacks"  # concluded, with any outcome; drills are counted apart
METRIC_ROLLBACKS_SUCCEEDED = "RollbacksSucceeded"
METRIC_ROLLBACKS_ACTED = "RollbacksActed"  # deployed to the service, or changed the database
METRIC_DRILLS = "Drills"
METRIC_DATABASE_ANSWERS = "DatabaseAnswers"  # 1 if the database answered a look, else 0
METRIC_DATABASE_FAILURES = "DatabaseConnectionFailures"  # the opposite, to be summed
METRIC_DATABASE_CONNECT = "DatabaseConnectMilliseconds"  # includes the start of a suspended compute
METRIC_DATABASE_LATENCY = "DatabaseLatencyMilliseconds"  # duration of one query in an open session


def phase_metric(phase: str, *, is_drill: bool = False) -> str:
    """Name the metric of a phase's duration: `ActSeconds`, of a drill `DrillActSeconds`."""
    return f"{'Drill' if is_drill else ''}{phase.capitalize()}Seconds"


METRIC_LATE_DELIVERIES = "LateDeliveries"  # messages beside the SNS topics that are due for a quarter of an hour


def event_source(application: str) -> str:
    """Name the source of our events on EventBridge's default bus. Only AWS's own sources begin with `aws.`."""
    return f"{application}.rollback"


def event_type(phase: str) -> str:
    """Name the detail type of the event about a phase, such as `rollback.concluded`."""
    return f"rollback.{phase}"


TEST_EVENT = "test"  # not a phase: `rollback doctor --send-test-event` puts an event of this type


_ROLLED_BACK = "rolled-back"
# The second alternative matches the names of earlier versions.
_ROLLBACK_FAMILY_SUFFIX = re.compile(rf"-(?:{LAST_KNOWN_GOOD}|{_ROLLED_BACK})-.+$|-(?:{LAST_KNOWN_GOOD}|rollback)$")


def last_known_good_family(family: str, environment: str, service: str) -> str:
    """Name the task-definition family of the last known good.

    The definition has a family of its own, so that `aws ecs update-service --task-definition <family>` works for an
    operator: ECS takes the newest ACTIVE revision. Pipelines that copy the newest revision of `<family>` never copy
    this revision. Services and environments may share `<family>`, so each has its own last known good.
    """
    return f"{family}-{LAST_KNOWN_GOOD}-{environment}-{service}"


def rollback_family(family: str, environment: str, service: str) -> str:
    """Name the family for the definition of any other target.

    The newest revision of the other family so stays the last known good.
    """
    return f"{family}-{_ROLLED_BACK}-{environment}-{service}"


def original_family(family: str) -> str:
    """Return the family in which the team's deployments register, from that family or one of the rollback's."""
    return _ROLLBACK_FAMILY_SUFFIX.sub("", family)


RELEASE_TAG = "rollback:release"  # tag of a definition that a rollback registered: the release's fingerprint


def is_rollback_family_name(family: str) -> bool:
    """Report whether a family is named like a rollback's.

    A team's own family may have such a name, so the tag decides (`identity.identify.is_registered_by_rollback`).
    """
    return original_family(family) != family


def family_of(definition_arn: str) -> str:
    """Return the family in `arn:aws:ecs:<region>:<account>:task-definition/<family>:<revision>`."""
    return definition_arn.rsplit("/", 1)[-1].rsplit(":", 1)[0]


def last_known_good_tag(environment: str, image: str) -> str:
    """Name the ECR tag that keeps an image from expiring.

    Each image (by digest) has its own tag: immutable repositories refuse to move a tag, and a moved tag protects
    nothing.
    """
    return f"{LAST_KNOWN_GOOD}-{environment}-{image.rpartition('sha256:')[2][:12]}"


DESIRED_COUNT_CHECK = "desired-count-is-above-zero"
# The second name is in documents that an older version of the code stored.
DESIRED_COUNT_CHECKS = frozenset({DESIRED_COUNT_CHECK, "tasks-are-wanted"})


ERROR_LOGS_METRIC = "ErrorLogs"
TASK_EXITS_METRIC = "TaskExits"


def error_logs_namespace(prefix: str, service: str) -> str:
    """Namespace of the metric that counts a service's error lines."""
    return f"{prefix}-{service}/rollback"


def database_function(prefix: str) -> str:
    """Name of the function that runs SQL."""
    return f"{prefix}-rollback-database"


# Not a step of the route: the state machine invokes `decide` with it, and waits until a decision ends the token's wait.
AWAIT_APPROVAL = "await_approval"
INVALID_INPUT = "invalid_input"  # `next` after an entrance whose input can't be used
SCHEDULER = "EventBridge Scheduler"  # `requested_by` of scheduled drills
