"""Checks of down-migrations before anything is changed, asked while services run."""

from collections.abc import Mapping
from typing import Any

from rollback.check import Check
from rollback.database.down_migrations.ports import MigrationCheckPorts
from rollback.database.preflight.branch_context import BranchContext
from rollback.database.preflight.preflight import check_background_work
from rollback.domain.database.plan import DatabasePlan
from rollback.domain.rollback import Rollback
from rollback.domain.settings.database import DatabaseSettings
from rollback.errors import CallRefused
from rollback.ports.holders import HasImages
from rollback.resources.aws.task_definition import is_pinned


def preflight_of_down_migrations(
    rollback: Rollback,
    plan: DatabasePlan,
    settings: DatabaseSettings,
    context: BranchContext,
    ports: MigrationCheckPorts,
) -> tuple[Check, ...]:
    """Check the branch, the settings, the plan and the running release's task definition."""
    try:
        branch = context.neon.branch(context.settings.branch_id)
        context.address(context.settings.branch_id)
    except CallRefused as refused:
        return (Check.failed("database-is-accessible", str(refused)),)
    missing_branch = f"project {settings.project_id} has no branch {context.settings.branch_id}"
    no_command = "down_command is not set: set the command that reverts one migration in a container of the release"
    return (
        Check.failed_if(missing_branch if branch is None else None, "branch-exists", plan.branch),
        Check.failed_if(
            None if settings.down_command else no_command, "down-command-is-set", " ".join(settings.down_command)
        ),
        Check.failed_if(
            None if plan.migrations else "the plan names no migration to revert",
            "migrations-are-named",
            ", ".join(plan.migrations),
        ),
        _check_definition(rollback, ports),
        *(check_background_work(context, replaces_data=False) if branch is not None else ()),
    )


def _check_definition(rollback: Rollback, ports: MigrationCheckPorts) -> Check:
    """Check the running release's definition: ECS runs no task of an INACTIVE one, and the container must exist."""
    name = "running-release-can-run-a-task"
    if rollback.plan is None:
        return Check.failed(name, "there is no plan that names the running release")
    arn, container = rollback.plan.running.definition_arn, ports.settings.service(rollback.service_name).container
    definition = ports.services.definition(arn)
    if definition is None or definition.get("status") != "ACTIVE":
        reason = (
            f"{arn} is {definition.get('status') if definition is not None else 'gone'}: ECS runs no task of this "
            "definition; use a restore instead"
        )
        return Check.failed(name, reason)
    containers = [
        container_definition.get("name") for container_definition in definition.get("containerDefinitions", [])
    ]
    objection = f"{arn} has no container {container}; it has {', '.join(map(str, containers))}: check the settings"
    if container not in containers:
        return Check.failed_if(objection, name, arn)
    return Check.failed_if(
        _why_another_image(definition, rollback.plan.running.images.get(container, ""), container, ports), name, arn
    )


def _why_another_image(
    definition: Mapping[str, Any], running_digest: str, container: str, ports: HasImages
) -> str | None:
    """Return why a task would run another image: its tag may have moved since the release was deployed."""
    image = next(
        str(container_definition["image"])
        for container_definition in definition["containerDefinitions"]
        if container_definition["name"] == container
    )
    if is_pinned(image):
        return None
    current_digest = ports.images.digest_of(image)
    if current_digest is None or current_digest == running_digest:
        return None
    return (
        f"{image} now means {current_digest}, but {running_digest} runs: a task would run another image; use a restore "
        "instead"
    )
