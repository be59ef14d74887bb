"""Names that the stacks give and the run time must find again: one place for both."""

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
STATE_ALARMS = ("error-logs", "unhealthy-targets", "task-shortfall", "no-healthy-targets")


def leaf_alarm(prefix: str, service: str, name: str) -> str:
    """An alarm that is evidence only."""
    return f"{prefix}-{service}-{name}"


METRIC_NAMESPACE = "Rollback"
METRIC_WAY_BACK = "WayBack"  # 1: there is something to go back to and nothing speaks against it; 0: there is not
METRIC_STALE_LEASES = "StaleLeases"  # leases that ran out and were not given back
METRIC_SWEEPS = "JanitorSweeps"


def last_known_good_family(family: str) -> str:
    """Task-definition family that holds the standing plan's definition.

    A family of its own: `aws ecs update-service --task-definition <family>-last-known-good` works by hand (ECS takes
    the newest ACTIVE revision), and deploy pipelines that copy the newest revision of `<family>` never copy ours.
    """
    return f"{family}-{LAST_KNOWN_GOOD}"


def rollback_family(family: str) -> str:
    """Family for the definition of any other target, so that the newest of the other stays the last known good."""
    return f"{family}-rollback"


_OUR_SUFFIXES = (f"-{LAST_KNOWN_GOOD}", "-rollback")


def original_family(family: str) -> str:
    """The family that a deployment registers in, from one of ours."""
    suffix = next((one for one in _OUR_SUFFIXES if family.endswith(one)), "")
    return family.removesuffix(suffix)


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
