"""Names that the stacks give and the run time must find again: one place for both."""

import re

LAST_KNOWN_GOOD = "last-known-good"
SYNONYMS_OF_LAST_KNOWN_GOOD = frozenset({LAST_KNOWN_GOOD, "last-stable"})


def degraded_alarm(prefix: str, service: str) -> str:
    """Composite alarm that starts a service rollback."""
    return f"{prefix}-{service}-degraded"


OUTAGE_SUFFIX = "-outage"


def outage_alarm(prefix: str, service: str) -> str:
    """Composite alarm that starts an emergency rollback."""
    return f"{prefix}-{service}{OUTAGE_SUFFIX}"


# Leaf alarms about shares and times of requests: they say nothing when there are few requests.
RATE_ALARMS = ("error-rate", "latency", "near-total-errors")
# Leaf alarms about tasks, targets and logs: they count without traffic too.
NO_HEALTHY_TARGETS = "no-healthy-targets"
STATE_ALARMS = ("error-logs", "unhealthy-targets", "task-shortfall", NO_HEALTHY_TARGETS)
MOST_TARGET_GROUPS = 8  # of one service; ECS takes five (Amazon ECS Developer Guide, "Register multiple target groups")


def leaf_alarm(prefix: str, service: str, name: str, number: int = 0) -> str:
    """An alarm that is evidence only. `number`: of several alike, one for each target group or few of them."""
    return f"{prefix}-{service}-{name}{f'-{number + 1}' if number else ''}"


def leaf_alarms(prefix: str, service: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """Every name that leaf alarms of these kinds may have; most services have only the first of each."""
    return tuple(leaf_alarm(prefix, service, name, number) for name in names for number in range(MOST_TARGET_GROUPS))


METRIC_NAMESPACE = "Rollback"


def metric_dimensions(application: str, environment: str) -> dict[str, str]:
    """Dimensions that all metrics of one deployment have; a live janitor must not hide another's death."""
    return {"Application": application, "Environment": environment}


METRIC_ROLLBACK_AVAILABLE = (
    "RollbackAvailable"  # 1: there is something to go back to and nothing speaks against it; 0: there is not
)
METRIC_STALE_LEASES = "StaleLeases"  # leases that ran out and were not given back
METRIC_SWEEPS = "JanitorSweeps"


_ROLLED_BACK = "rolled-back"
# The second alternative: names that earlier versions gave.
_OURS = re.compile(rf"-(?:{LAST_KNOWN_GOOD}|{_ROLLED_BACK})-.+$|-(?:{LAST_KNOWN_GOOD}|rollback)$")


def last_known_good_family(family: str, environment: str, service: str) -> str:
    """Task-definition family that holds the standing plan's definition.

    A family of its own: `aws ecs update-service --task-definition <this>` works by hand (ECS takes the newest ACTIVE
    revision), and deploy pipelines that copy the newest revision of `<family>` never copy ours. Services and
    environments may share `<family>`: each has its own last known good.
    """
    return f"{family}-{LAST_KNOWN_GOOD}-{environment}-{service}"


def rollback_family(family: str, environment: str, service: str) -> str:
    """Family for the definition of any other target, so that the newest of the other stays the last known good."""
    return f"{family}-{_ROLLED_BACK}-{environment}-{service}"


def original_family(family: str) -> str:
    """The family that a deployment registers in, from that or one of ours."""
    return _OURS.sub("", family)


RELEASE_TAG = "rollback:release"  # on a definition that we registered: the fingerprint it was registered for


def is_named_as_ours(family: str) -> bool:
    """Whether a family is called as ours are; a team's own may be, so that the tag decides (`running.is_ours`)."""
    return original_family(family) != family


def family_of(definition_arn: str) -> str:
    """Family out of `arn:aws:ecs:<region>:<account>:task-definition/<family>:<revision>`."""
    return definition_arn.rsplit("/", 1)[-1].rsplit(":", 1)[0]


def last_known_good_tag(environment: str, image: str) -> str:
    """ECR tag that keeps an image from expiring.

    One for each image (by digest), since immutable repositories refuse to move a tag, and a moved one protects nothing.
    """
    return f"{LAST_KNOWN_GOOD}-{environment}-{image.rpartition('sha256:')[2][:12]}"


DESIRED_COUNT_CHECK = "tasks-are-wanted"
