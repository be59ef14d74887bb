"""The CloudFormation stack that deploys a service: its activity, and its drift from the running definition."""

from dataclasses import dataclass

from rollback.check import Check
from rollback.domain.settings.environment import ServiceSettings
from rollback.domain.target_readiness import unknown_check
from rollback.errors import CallRefused, ExternalServiceError
from rollback.ports.holders import HasStacks
from rollback.resources.aws.cloudformation_stack import StackState, list_drift


@dataclass(frozen=True)
class StackStatus:
    """Activity of a CloudFormation stack.

    Attributes:
        state: activity, or not known.
        why_not_known: empty if the activity is known.
        is_for_good: CloudFormation refuses the call, so the next call fails too.
    """

    state: StackState
    why_not_known: str = ""
    is_for_good: bool = False

    @property
    def doubts(self) -> tuple[Check, ...]:
        """Warnings for the plan; none if the activity is known."""
        return (unknown_check("stack-is-quiet", self.why_not_known),) if self.why_not_known else ()


def read_stack_status(service: ServiceSettings, ports: HasStacks) -> StackStatus:
    """Ask CloudFormation for the stack's activity (rule 6: wait for it). A service without a stack counts as stable.

    A missing answer is no failure: a plan changes nothing, and the service step asks again before each change.
    """
    if service.stack is None:
        return StackStatus(StackState.STABLE)
    try:
        stack = ports.stacks.describe(service.stack)
    except ExternalServiceError as failure:
        return StackStatus(StackState.NOT_KNOWN, str(failure), isinstance(failure, CallRefused))
    return StackStatus(stack.state if stack is not None else StackState.STABLE)


def describe_drift(service: ServiceSettings, running_definition_arn: str, ports: HasStacks) -> str:
    """Describe how the stack's definition differs from the running one; empty if it does not.

    Reports use the text. A missing answer delays no conclusion.
    """
    if service.stack is None:
        return ""
    try:
        stack = ports.stacks.describe(service.stack)
    except ExternalServiceError:
        return f"CloudFormation could not be asked whether stack {service.stack} has the running task definition"
    return (list_drift(stack, running_definition_arn) if stack is not None else None) or ""
