"""Steps of the function `decide`: Plan and Approve."""

from datetime import datetime

from rollback.approval.step import approve
from rollback.domain.rollback import Rollback
from rollback.planning.step import plan
from rollback.ports.all_ports import AllPorts
from rollback.workflow.route import Step
from rollback.workflow.step_runner import StepAction, StepRunner
from rollback.workflow.wanted_deliveries import want_on_all_channels


def _lease_until_gate_is_open(_: Rollback, after: Rollback, ports: AllPorts) -> datetime | None:
    """Return the time now: the gate opens under the lease, so two rollbacks of a service never wait together."""
    return ports.clock.now() if after.is_at_gate else None


PLANNING_STEPS = {
    Step.PLAN: StepAction(plan, _lease_until_gate_is_open),
    Step.APPROVE: StepAction(approve),
}
PLANNING_RUNNER = StepRunner(PLANNING_STEPS, want_on_all_channels)
