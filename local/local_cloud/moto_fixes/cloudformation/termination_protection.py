"""Termination protection of stacks: `cdk deploy` sets it, and a protected stack can't be deleted.

moto keeps the flag without effect, and lacks UpdateTerminationProtection (CloudFormation API reference).
"""

from typing import Any

from moto.cloudformation.exceptions import ValidationError
from moto.cloudformation.models import CloudFormationBackend
from moto.cloudformation.responses import CloudFormationResponse
from moto.core.responses import ActionResult

_stock_delete = CloudFormationBackend.delete_stack


def install() -> None:
    """Add the operation, and let DeleteStack refuse a protected stack."""
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
