"""The CloudFormation stack that deploys a service: is it moving, and does it still say what runs?"""

from dataclasses import dataclass

from rollback.check import Check
from rollback.domain.settings.environment import ServiceSettings
from rollback.domain.target_readiness import not_known
from rollback.errors import CallRefused, ExternalServiceError
from rollback.ports.world import World
from rollback.resources.aws.cloudformation_stack import StackState, drift


@dataclass(frozen=True)
class StackStatus:
    """What CloudFormation is doing, as far as it is known.

    Attributes:
        why_not_known: empty if it is known.
        is_for_good: it will not be known at the next look either, since the call is refused.
    """

    state: StackState
    why_not_known: str = ""
    is_for_good: bool = False

    @property
    def doubts(self) -> tuple[Check, ...]:
        """A warning for the plan; none if it is known."""
        return (not_known("stack-is-quiet", self.why_not_known),) if self.why_not_known else ()


def read_stack_status(service: ServiceSettings, world: World) -> StackStatus:
    """What CloudFormation is doing (rule 6); a service without a stack, or with one that is gone, is left in peace.

    No answer is no failure: a plan changes nothing, and the service step asks again before each change.
    """
    if service.stack is None:
        return StackStatus(StackState.STABLE)
    try:
        stack = world.stacks.describe(service.stack)
    except ExternalServiceError as failure:
        return StackStatus(StackState.NOT_KNOWN, str(failure), isinstance(failure, CallRefused))
    return StackStatus(stack.state if stack is not None else StackState.STABLE)


def describe_drift(service: ServiceSettings, running_definition_arn: str, world: World) -> str:
    """How CloudFormation's idea of the service differs from what runs, in words; empty: it does not, or can't be told.

    For reports: an answer that does not come keeps nothing from being concluded.
    """
    if service.stack is None:
        return ""
    try:
        stack = world.stacks.describe(service.stack)
    except ExternalServiceError:
        return f"whether CloudFormation (stack {service.stack}) still records what runs could not be asked"
    return (drift(stack, running_definition_arn) if stack is not None else None) or ""
