"""A stack in the middle of something: here stacks change at once, and nobody could meet one that is changing."""

from collections.abc import Iterator
from contextlib import contextmanager

from moto.cloudformation.models import cloudformation_backends

from local_cloud.deployment.server import LocalCloud


@contextmanager
def busy(cloud: LocalCloud, stack_name: str, status: str = "UPDATE_IN_PROGRESS") -> Iterator[None]:
    """The stack is in this status for as long as the context lasts; KeyError: there is none of this name."""
    stacks = cloudformation_backends[cloud.account][cloud.region].stacks
    by_name = {stack.name: stack for stack in stacks.values()}
    stack = by_name[stack_name]
    before, stack.status = stack.status, status
    try:
        yield
    finally:
        stack.status = before
