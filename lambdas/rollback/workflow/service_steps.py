"""Steps of the function `service`: Emergency and Service."""

from rollback.planning.emergency import plan_emergency
from rollback.service.reconciler import service
from rollback.workflow.route import Step
from rollback.workflow.step_runner import StepAction, StepRunner

SERVICE_STEPS = {
    Step.EMERGENCY: StepAction(plan_emergency),
    Step.SERVICE: StepAction(service),
}
SERVICE_RUNNER = StepRunner(SERVICE_STEPS)
