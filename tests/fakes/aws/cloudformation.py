"""CloudFormation stacks and the image tags of their templates."""

from rollback.resources.aws.cloudformation_stack import StackView


class FakeStacks:
    """One stack by name, or None if no stack exists."""

    def __init__(self, stack: StackView | None = None) -> None:
        self.stack = stack

    def describe(self, stack: str) -> StackView | None:
        return self.stack if self.stack is not None and self.stack.name == stack else None
