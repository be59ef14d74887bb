"""Termination protection of stacks: set by `cdk deploy`, and a protected stack is not deleted.

moto keeps the flag and has no UpdateTerminationProtection (CloudFormation API reference, UpdateTerminationProtection).
"""

from typing import Any

from moto.cloudformation.exceptions import ValidationError
from moto.cloudformation.models import CloudFormationBackend
from moto.cloudformation.responses import CloudFormationResponse
from moto.core.responses import ActionResult

_stock_delete = CloudFormationBackend.delete_stack


def install() -> None:
    CloudFormationResponse.update_termination_protection = _update
    CloudFormationBackend.delete_stack = _delete


def _update(self: Any) -> Any:
    stack = self.cloudformation_backend.get_stack(self._get_param("StackName"))
    stack.enable_termination_protection = self._get_bool_param("EnableTerminationProtection")
    return ActionResult({"StackId": stack.stack_id})


def _delete(self: Any, name_or_stack_id: str) -> None:
    for stack in self.stacks.values():
        if name_or_stack_id in (stack.name, stack.stack_id) and stack.enable_termination_protection:
            raise ValidationError(
                message=f"Stack [{stack.name}] cannot be deleted while TerminationProtection is enabled"
            )
    _stock_delete(self, name_or_stack_id)
