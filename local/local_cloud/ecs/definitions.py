"""Task definitions as ECS keeps them: who registered them and when, the latest ACTIVE one; INACTIVE are refused."""

from __future__ import annotations

from datetime import UTC, datetime
from inspect import signature
from typing import Any

from moto.ecs.exceptions import EcsClientException
from moto.ecs.models import EC2ContainerServiceBackend as Backend

from local_cloud.ecs import secrets as ecs_secrets

_stock_describe = Backend.describe_task_definition
_stock_register, _stock_deregister = Backend.register_task_definition, Backend.deregister_task_definition


def install() -> None:
    """Replace moto's operations. Harmless when repeated."""
    Backend.describe_task_definition = _describe_latest_active
    Backend.register_task_definition = _register
    Backend.deregister_task_definition = _deregister


def _register(backend: Any, *arguments: Any, **named: Any) -> Any:
    asked = signature(_stock_register).bind(backend, *arguments, **named).arguments
    ecs_secrets.require_execution_role(asked["container_definitions"], asked.get("execution_role_arn"))
    definition = _stock_register(backend, *arguments, **named)
    definition.registered_at = datetime.now(UTC)
    definition.registered_by = f"arn:aws:iam::{backend.account_id}:root"
    return definition


def _deregister(backend: Any, task_definition_str: str) -> Any:
    definition = _stock_deregister(backend, task_definition_str)
    definition.deregistered_at = datetime.now(UTC)
    return definition


def _describe_latest_active(backend: Any, task_definition_str: str) -> Any:
    """A family alone means its latest ACTIVE revision; moto takes the latest, deregistered or not."""
    name = task_definition_str.rsplit("/", maxsplit=1)[-1]
    if ":" not in name:
        active = [r for r, d in backend.task_definitions.get(name, {}).items() if d.status == "ACTIVE"]
        if active:
            name = f"{name}:{max(active)}"
    return _stock_describe(backend, name)


def usable(backend: Any, name: str) -> Any:
    """The definition that tasks are to be made from. Raises EcsClientException: there is none, or it is INACTIVE."""
    definition = backend.describe_task_definition(name)
    if definition.status != "ACTIVE":
        raise EcsClientException("TaskDefinition is inactive")
    return definition
