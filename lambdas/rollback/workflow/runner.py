"""All steps in one process, for direct mode. Each Lambda function has a runner of its own steps (`functions`)."""

from datetime import datetime

from rollback.database.data_loss.step import stop_comparison
from rollback.ports.all_ports import AllPorts
from rollback.workflow import start
from rollback.workflow.database_steps import DATABASE_STEPS
from rollback.workflow.planning_steps import PLANNING_STEPS
from rollback.workflow.report_steps import REPORT_STEPS
from rollback.workflow.route import Step
from rollback.workflow.service_steps import SERVICE_STEPS
from rollback.workflow.start import start_rollback
from rollback.workflow.step_runner import Cursor, StepRunner, cursor_of
from rollback.workflow.wanted_deliveries import want_on_all_channels

__all__ = ["Cursor", "cursor_of", "run_step", "start_emergency", "start_rollback"]

_ALL_STEPS = {**PLANNING_STEPS, **SERVICE_STEPS, **DATABASE_STEPS, **REPORT_STEPS}
_RUNNER = StepRunner(_ALL_STEPS, want_on_all_channels, stop_comparison)


def start_emergency(execution_input: object, execution: str, started_at: datetime, ports: AllPorts) -> Cursor:
    """Start an emergency as `workflow.start.start_emergency`, with the runner of all steps.

    Raises:
        InvalidRequest: the input can't be understood; nothing was changed.
    """
    return start.start_emergency(execution_input, execution, started_at, ports, _RUNNER)


def run_step(rollback_id: str, due: Step, ports: AllPorts, failure: str | None = None) -> Cursor:
    """Run one step as `StepRunner.run`, with the same arguments.

    Raises:
        KeyError: the ledger has no such rollback.
        UnreadableItem: the document can't be read.
        ExternalServiceError: nothing is lost; call again (not after `CallRefused`).
        Conflict: another process saved the document; call again.
    """
    return _RUNNER.run(rollback_id, due, ports, failure)
