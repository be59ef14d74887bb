"""Task definitions as ECS keeps them.

Replaced in moto:
- `registeredAt`, `registeredBy` and `deregisteredAt` are missing.
- A family without a revision means its latest ACTIVE revision; moto takes the latest, even if it was deregistered.
- A definition with secrets and without an execution role is refused; moto takes it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from inspect import signature
from typing import Any

from moto.ecs.exceptions import EcsClientException
from moto.ecs.models import EC2ContainerServiceBackend as Backend

_stock_describe = Backend.describe_task_definition
_stock_register, _stock_deregister = Backend.register_task_definition, Backend.deregister_task_definition


def install() -> None:
    """Replace moto's operations. Repeated calls change nothing."""
    Backend.describe_task_definition = _describe_latest_active
    Backend.register_task_definition = _register
    Backend.deregister_task_definition = _deregister


def _register(backend: Any, *arguments: Any, **named: Any) -> Any:
    bound = signature(_stock_register).bind(backend, *arguments, **named).arguments
    _require_execution_role(bound["container_definitions"], bound.get("execution_role_arn"))
    definition = _stock_register(backend, *arguments, **named)
    definition.registered_at = datetime.now(UTC)
    definition.registered_by = f"arn:aws:iam::{backend.account_id}:root"
    return definition


def _require_execution_role(containers: list[dict[str, Any]], execution_role_arn: str | None) -> None:
    if execution_role_arn is None and any(container.get("secrets") for container in containers):
        raise EcsClientException(
            "When you are specifying container secrets, you must also specify a value for 'executionRoleArn'."
        )


def _deregister(backend: Any, task_definition_str: str) -> Any:
    definition = _stock_deregister(backend, task_definition_str)
    definition.deregistered_at = datetime.now(UTC)
    return definition


def _describe_latest_active(backend: Any, task_definition_str: str) -> Any:
    name = task_definition_str.rsplit("/", maxsplit=1)[-1]
    if ":" not in name:
        active = [r for r, d in backend.task_definitions.get(name, {}).items() if d.status == "ACTIVE"]
        if active:
            name = f"{name}:{max(active)}"
    return _stock_describe(backend, name)
