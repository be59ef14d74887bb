"""Steps of the function `report`: Verify and Conclude. Its janitor ends a gate without an execution by Approve."""

from datetime import datetime

from rollback.approval.step import approve
from rollback.conclusion.step import conclude
from rollback.database.data_loss.step import stop_comparison
from rollback.domain.rollback import Rollback
from rollback.ports.all_ports import AllPorts
from rollback.verification.step import announces_smoke, verify
from rollback.workflow.route import Step
from rollback.workflow.step_runner import StepAction, StepRunner
from rollback.workflow.wanted_deliveries import want_on_all_channels


def _lease_until_smoke_is_started(before: Rollback, after: Rollback, _: AllPorts) -> datetime | None:
    return announces_smoke(before, after)


REPORT_STEPS = {
    Step.VERIFY: StepAction(verify, _lease_until_smoke_is_started),
    Step.CONCLUDE: StepAction(conclude),
    Step.APPROVE: StepAction(approve),
}
REPORT_RUNNER = StepRunner(REPORT_STEPS, want_on_all_channels, stop_comparison)
