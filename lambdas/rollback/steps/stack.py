"""The CloudFormation stack that deploys a service: is it moving, and does it still say what runs?"""

from rollback.model.errors import OutsideFailure
from rollback.model.settings import ServiceSettings
from rollback.model.stack_view import StackState, drift
from rollback.steps.ports import World


def stack_state(service: ServiceSettings, world: World) -> StackState:
    """What CloudFormation is doing (rule 6); a service without a stack, or with one that is gone, is left in peace."""
    if service.stack is None:
        return StackState.STABLE
    stack = world.stacks.look(service.stack)
    return stack.state if stack is not None else StackState.STABLE


def drift_of(service: ServiceSettings, running_definition_arn: str, world: World) -> str:
    """How CloudFormation's idea of the service differs from what runs, in words; empty: it does not, or can't be told.

    For reports: an answer that does not come keeps nothing from being concluded.
    """
    if service.stack is None:
        return ""
    try:
        stack = world.stacks.look(service.stack)
    except OutsideFailure:
        return f"whether CloudFormation (stack {service.stack}) still records what runs could not be asked"
    return (drift(stack, running_definition_arn) if stack is not None else None) or ""
