"""Port to CloudFormation."""

from typing import Protocol

from rollback.effects import reads
from rollback.resources.aws.cloudformation_stack import StackView


class Stacks(Protocol):
    """CloudFormation stacks that deploy the services."""

    @reads
    def describe(self, stack: str) -> StackView | None:
        """Describe a stack, or return None if no stack has this name (any more)."""
        ...
