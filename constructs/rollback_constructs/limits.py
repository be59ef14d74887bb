"""AWS's limits on what we name and make: one line at synth, in place of a refusal in the middle of a deployment."""

from collections.abc import Sequence
from typing import TypeVar

Item = TypeVar("Item")

# Service quotas of EventBridge, Lambda, Amazon SQS, Step Functions and CloudFormation.
MAX_NAME_LENGTHS = {"rule": 64, "function": 64, "queue": 80, "state machine": 80}
MAX_PATTERN_LENGTH = 2048
MAX_STACK_RESOURCES = 500
_AROUND_ARNS = 300  # of a pattern: source, detail type, and what else is asked of the event
_LONGEST_ARN_HEAD = len("arn:aws-us-gov:cloudwatch:ap-southeast-2:123456789012:")


class LimitExceeded(ValueError):
    """What was asked for is more than AWS allows."""


def check_name_length(kind: str, name: str) -> str:
    """The name, if AWS takes it.

    Raises:
        LimitExceeded: it is too long.
    """
    if len(name) > (most := MAX_NAME_LENGTHS[kind]):
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
    if count > MAX_STACK_RESOURCES:
        raise LimitExceeded(
            f"{environment} has {services} services, which take {count} resources; CloudFormation allows "
            f"{MAX_STACK_RESOURCES} in a stack: split it into several environments"
        )


def batch_by_pattern_length(arns: Sequence[tuple[str, Item]]) -> list[list[Item]]:
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
            room = MAX_PATTERN_LENGTH - _AROUND_ARNS
        batches[-1].append(item)
        room -= length
    return batches
