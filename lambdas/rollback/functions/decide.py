"""The function `decide`: Admit, Plan and Approve. Plan reads the ledger, and never Neon."""

from functools import cache

from rollback.approval.decide import await_approval
from rollback.drivers.drivers import Drivers
from rollback.functions.invocation import Payload, entry_point, make_observed_ports, run_due_step, run_entrance
from rollback.names import AWAIT_APPROVAL
from rollback.observability.traces import trace_call
from rollback.ports.all_ports import AllPorts
from rollback.workflow.planning_steps import PLANNING_RUNNER
from rollback.workflow.route import Step
from rollback.workflow.start import start_rollback


@cache
def _ports() -> AllPorts:
    return make_observed_ports(Drivers(), trace_call)


@entry_point
def handle(event: Payload, context: object) -> Payload:  # noqa: ARG001 - Lambda's signature
    """Run Admit, Plan and Approve, and store the token of an execution that waits for an approval.

    A mistyped input of an operator ends the execution (`workflow.unusable_input`).

    Raises:
        InvalidRequest: the input of another starter can't be understood. The execution fails with the error's text, and
            pages. Nothing was changed.
    """
    if event.get("step") == AWAIT_APPROVAL:
        return {"waits": await_approval(event["cursor"]["rollback_id"], event["token"], _ports())}
    if event.get("step") == Step.ADMIT:
        return run_entrance(start_rollback, event, _ports())
    return run_due_step(event, PLANNING_RUNNER, _ports())
