"""A CloudFormation stack in the middle of an update, which no test meets otherwise: stacks change at once here."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from moto.cloudformation.models import cloudformation_backends


class _Cloud(Protocol):
    account: str
    region: str


@contextmanager
def busy(cloud: _Cloud, stack_name: str, status: str = "UPDATE_IN_PROGRESS") -> Iterator[None]:
    """Show the stack in `status` until the context ends.

    Raises:
        KeyError: no stack has this name.
    """
    stacks = cloudformation_backends[cloud.account][cloud.region].stacks
    stack = {stack.name: stack for stack in stacks.values()}[stack_name]
    true_status, stack.status = stack.status, status
    try:
        yield
    finally:
        stack.status = true_status
