"""AWS's limits on what we name and make: one line at synth, in place of a refusal in the middle of a deployment."""

from collections.abc import Sequence
from typing import TypeVar

Item = TypeVar("Item")

# Service quotas of EventBridge, Lambda, Amazon SQS, Step Functions and CloudFormation.
LONGEST_NAMES = {"rule": 64, "function": 64, "queue": 80, "state machine": 80}
LONGEST_PATTERN = 2048
MOST_RESOURCES = 500
_AROUND_ARNS = 300  # of a pattern: source, detail type, and what else is asked of the event
_LONGEST_ARN_HEAD = len("arn:aws-us-gov:cloudwatch:ap-southeast-2:123456789012:")


class LimitExceeded(ValueError):
    """What was asked for is more than AWS allows."""


def within(kind: str, name: str) -> str:
    """The name, if AWS takes it.

    Raises:
        LimitExceeded: it is too long.
    """
    if len(name) > (most := LONGEST_NAMES[kind]):
        raise LimitExceeded(
            f"the name of the {kind} {name} has {len(name)} characters, AWS allows {most}: shorten application.name or "
            f"the environment's name by {len(name) - most}"
        )
    return name


def check_resources(count: int, environment: str, services: int) -> None:
    """Whether they fit into one stack.

    Raises:
        LimitExceeded: there are too many.
    """
    if count > MOST_RESOURCES:
        raise LimitExceeded(
            f"{environment} has {services} services, which take {count} resources; CloudFormation allows "
            f"{MOST_RESOURCES} in a stack: split it into several environments"
        )


def by_pattern(arns: Sequence[tuple[str, Item]]) -> list[list[Item]]:
    """What goes into one event pattern each.

    Args:
        arns: the last part of each ARN, by which its length is known, and what stands for it in the pattern.
    """
    batches: list[list[Item]] = []
    room = 0
    for last_part, item in arns:
        length = _LONGEST_ARN_HEAD + len(last_part) + len('"",')
        if not batches or length > room:
            batches.append([])
            room = LONGEST_PATTERN - _AROUND_ARNS
        batches[-1].append(item)
        room -= length
    return batches
