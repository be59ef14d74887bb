"""AWS's limits on names and resources: checked at synth, so that no deployment fails halfway."""

from collections.abc import Sequence
from typing import TypeVar

Item = TypeVar("Item")

# Service quotas of EventBridge, Lambda, Amazon SQS, Step Functions and CloudFormation.
MAX_NAME_LENGTHS = {"rule": 64, "schedule": 64, "function": 64, "queue": 80, "state machine": 80}
MAX_PATTERN_LENGTH = 2048
MAX_STACK_RESOURCES = 500
# CloudWatch API reference, `PutCompositeAlarm`: underlying alarms, and length of `AlarmRule`. A rule of 100 alarms has
# fewer than the 500 functions, operators and parentheses that CloudWatch allows.
MAX_UNDERLYING_ALARMS = 100
MAX_ALARM_RULE_LENGTH = 10_240
_PATTERN_WITHOUT_ARNS = 300  # characters of a pattern for source, detail type and other conditions
_MAX_ARN_PREFIX = len("arn:aws-us-gov:cloudwatch:ap-southeast-2:123456789012:")


class LimitExceeded(ValueError):
    """The settings exceed a limit of AWS."""


def check_name_length(kind: str, name: str) -> str:
    """Return the name if AWS allows its length.

    Raises:
        LimitExceeded: the name is too long.
    """
    if len(name) > (limit := MAX_NAME_LENGTHS[kind]):
        raise LimitExceeded(
            f"the name of the {kind} {name} has {len(name)} characters, AWS allows {limit}: shorten application.name "
            f"or the environment's name by {len(name) - limit}"
        )
    return name


def check_alarm_rule(name: str, leaves: Sequence[str], extras: Sequence[str]) -> None:
    """Check that the rule of a composite alarm fits, whatever account and region CloudFormation fills in.

    Args:
        name: name of the composite alarm.
        leaves: names of our alarms in the rule, which has their ARNs.
        extras: names of the team's alarms in the rule, which has these names.

    Raises:
        LimitExceeded: CloudWatch allows fewer alarms, or a shorter rule.
    """
    advice = f"shorten the list extra_alarms, which has {len(extras)}, or join some of them in a composite alarm"
    if (count := len(leaves) + len(extras)) > MAX_UNDERLYING_ALARMS:
        raise LimitExceeded(
            f"the alarm {name} depends on {count} alarms, CloudWatch allows {MAX_UNDERLYING_ALARMS}: {advice}"
        )
    around = len('ALARM("") OR ') + len("()")
    length = sum(around + _MAX_ARN_PREFIX + len("alarm:") + len(leaf) for leaf in leaves)
    length += sum(around + len(extra) for extra in extras)
    if length > MAX_ALARM_RULE_LENGTH:
        raise LimitExceeded(
            f"the rule of the alarm {name} may have {length} characters, CloudWatch allows {MAX_ALARM_RULE_LENGTH}: "
            f"{advice}"
        )


def check_resources(count: int, environment: str, services: int) -> None:
    """Check that the resources of an environment fit into one stack.

    Raises:
        LimitExceeded: CloudFormation allows fewer resources.
    """
    if count > MAX_STACK_RESOURCES:
        raise LimitExceeded(
            f"{environment} has {services} services, which take {count} resources; CloudFormation allows "
            f"{MAX_STACK_RESOURCES} in a stack: split the environment into several"
        )


def batch_by_pattern_length(arns: Sequence[tuple[str, Item]]) -> list[list[Item]]:
    """Split ARNs into batches that fit into one event pattern each.

    Args:
        arns: last part of each ARN, which determines the length of the ARN, and the item for that ARN.
    """
    batches: list[list[Item]] = []
    room = 0
    for last_part, item in arns:
        length = _MAX_ARN_PREFIX + len(last_part) + len('"",')
        if not batches or length > room:
            batches.append([])
            room = MAX_PATTERN_LENGTH - _PATTERN_WITHOUT_ARNS
        batches[-1].append(item)
        room -= length
    return batches
