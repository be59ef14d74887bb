"""The function `report`: Verify and Conclude, the janitor, and messages about concluded rollbacks."""

from functools import cache

from rollback.delivery.occasions import deliver_after_conclusion, deliver_on_event
from rollback.drivers.drivers import Drivers
from rollback.drivers.github import make_github
from rollback.drivers.http import make_http
from rollback.drivers.neon import make_neon
from rollback.drivers.webhooks import make_webhooks
from rollback.errors import InvalidRequest
from rollback.functions.invocation import Payload, entry_point, make_observed_ports, run_due_step
from rollback.names import event_type
from rollback.observability.traces import trace_call
from rollback.ports.all_ports import AllPorts
from rollback.resources.aws.execution_failure import ExecutionFailure
from rollback.workflow.janitor.abandoned_rollbacks import conclude_execution
from rollback.workflow.janitor.sweep_services import sweep
from rollback.workflow.report_steps import REPORT_RUNNER
from rollback.workflow.route import Step


@cache
def _ports() -> AllPorts:
    drivers = Drivers(http=make_http, webhooks=make_webhooks, neon=make_neon, github=make_github)
    return make_observed_ports(drivers, trace_call)


@entry_point
def handle(event: Payload, context: object) -> Payload:  # noqa: ARG001 - Lambda's signature
    """Run Verify and Conclude, and handle EventBridge's events of the janitor's schedule and ended executions.

    Raises:
        InvalidRequest: the event is for another function; nothing was changed.
    """
    match event.get("detail-type"):
        case None:
            cursor = run_due_step(event, REPORT_RUNNER, _ports())
            if event["step"] == Step.CONCLUDE:
                deliver_after_conclusion(cursor["rollback_id"], _ports())
            return cursor
        case str(kind) if kind.startswith(event_type("")):
            return {"done": deliver_on_event(event, _ports())}
        case "Scheduled Event":
            return {"done": sweep(_ports())}
        case "Step Functions Execution Status Change":
            detail = event["detail"]
            is_stopped_by_operator = detail["status"] == "ABORTED"
            failure = ExecutionFailure.read(detail.get("error"), detail.get("cause"))
            reason = f"its execution ended as {detail['status']}: {failure.text}"
            conclusions = conclude_execution(
                detail["executionArn"], reason, _ports(), error=failure.error, by_operator=is_stopped_by_operator
            )
            return {"done": conclusions}
        case other:
            raise InvalidRequest(f"an event of type {other!r} is not for this function; nothing was changed")
