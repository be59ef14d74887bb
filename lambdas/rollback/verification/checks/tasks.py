"""Check the tasks of a release by ECS's list of running and stopped tasks."""

from rollback.check import Check
from rollback.domain.settings.environment import ServiceSettings
from rollback.resources.aws.ecs_service import ServiceView
from rollback.verification.checks.ports import TaskCheckPorts
from rollback.verification.checks.task_rules import TaskWindow, judge_tasks


def check_tasks(service: ServiceSettings, view: ServiceView, window: TaskWindow, ports: TaskCheckPorts) -> Check:
    """Check that no task of PRIMARY failed in the window.

    Raises:
        ExternalServiceError: ECS does not list the tasks.
    """
    tasks = ports.services.service_tasks(service)
    return judge_tasks(tasks, view, service.container, window, ports.clock.now())
