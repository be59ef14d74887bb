"""Change sets as `cdk deploy` uses them: found by stack and name, with outputs, exports and failures.

moto finds a change set by its name only, and the CDK gives all of them the same name. In moto, a stack that a change
set made has neither outputs nor imports.
"""

from typing import Any

from moto.cloudformation.exceptions import ValidationError
from moto.cloudformation.models import CloudFormationBackend
from moto.cloudformation.responses import CloudFormationResponse
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, EmptyResult

_stock_create = CloudFormationBackend.create_change_set


class ChangeSetNotFound(ServiceException):  # type: ignore[misc]  # moto is untyped
    """No change set has this name in this stack, or this ARN."""

    code = "ChangeSetNotFound"


# moto's serializer looks up the error's model by the module of the exception.
ChangeSetNotFound.__module__ = ValidationError.__module__


def install() -> None:
    """Replace moto's operations on change sets."""
    CloudFormationBackend.create_change_set = _create
    CloudFormationBackend.execute_change_set = _execute
    CloudFormationResponse.describe_change_set = _describe_request
    CloudFormationResponse.delete_change_set = _delete_request
    CloudFormationResponse.execute_change_set = _execute_request


def _create(self: Any, stack_name: str, *arguments: Any, **named: Any) -> Any:
    # A stack that an earlier change set left in REVIEW_IN_PROGRESS is replaced, as on AWS.
    for stack_id, stack in list(self.stacks.items()):
        if stack.name == stack_name and stack.status == "REVIEW_IN_PROGRESS":
            del self.stacks[stack_id]
    return _stock_create(self, stack_name, *arguments, **named)


def _find(backend: Any, name: str, stack: str | None) -> tuple[str, Any]:
    for change_set_id, change_set in backend.change_sets.items():
        is_of_stack = stack in (None, change_set.stack.name, change_set.stack.stack_id)
        if change_set_id == name or (change_set.change_set_name == name and is_of_stack):
            return change_set_id, change_set
    raise ChangeSetNotFound(f"ChangeSet [{name}] does not exist")


def _execute(self: Any, change_set_name: str, stack_name: str | None = None) -> None:
    _, change_set = _find(self, change_set_name, stack_name)
    stack = change_set.stack
    stack.cross_stack_resources = self.exports
    if change_set.change_set_type == "CREATE":
        stack.template, stack.parameters = change_set.template, change_set.parameters
        stack._parse_template()
        stack.resource_map = stack._create_resource_map()
        stack._add_stack_event("CREATE_IN_PROGRESS", resource_status_reason="User Initiated")
        stack.create_resources()
    else:
        stack.resource_map.cross_stack_resources = self.exports
        stack.update(change_set.template, change_set.role_arn, change_set.parameters, change_set.tags)
    failed = stack.status.endswith("_FAILED")
    change_set.execution_status = "EXECUTE_FAILED" if failed else "EXECUTE_COMPLETE"


def _requested_change_set(response: Any) -> tuple[str, Any]:
    name, stack = response._get_param("ChangeSetName"), response._get_param("StackName")
    return _find(response.cloudformation_backend, name, stack)


def _describe_request(self: Any) -> Any:
    return ActionResult(_requested_change_set(self)[1])


def _delete_request(self: Any) -> Any:
    change_set_id, _ = _requested_change_set(self)
    del self.cloudformation_backend.change_sets[change_set_id]
    return EmptyResult()


def _execute_request(self: Any) -> Any:
    change_set_id, _ = _requested_change_set(self)
    self.cloudformation_backend.execute_change_set(change_set_name=change_set_id)
    return EmptyResult()
