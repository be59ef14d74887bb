"""The function `service`: Emergency and Service. It has no driver, and traces no call: an emergency waits for it."""

from datetime import datetime
from functools import cache

from rollback.drivers.drivers import Drivers
from rollback.functions.invocation import Payload, entry_point, make_observed_ports, run_due_step, run_entrance
from rollback.ports.all_ports import AllPorts
from rollback.workflow.route import Step
from rollback.workflow.service_steps import SERVICE_RUNNER
from rollback.workflow.start import start_emergency
from rollback.workflow.step_runner import Cursor


@cache
def _ports() -> AllPorts:
    return make_observed_ports(Drivers())


@entry_point
def handle(event: Payload, context: object) -> Payload:  # noqa: ARG001 - Lambda's signature
    """Run Service; an emergency is admitted, planned and begun in one invocation.

    Raises:
        InvalidRequest: as `decide`.
    """
    if event.get("step") == Step.EMERGENCY:
        return run_entrance(_start_emergency, event, _ports())
    return run_due_step(event, SERVICE_RUNNER, _ports())


def _start_emergency(execution_input: object, execution: str, started_at: datetime, ports: AllPorts) -> Cursor:
    return start_emergency(execution_input, execution, started_at, ports, SERVICE_RUNNER)
