"""Lambda entry points, which take events and return cursors. Clients are made at the first call and kept."""

from collections.abc import Callable
from datetime import datetime
from functools import cache, wraps
from typing import Any

from rollback.bootstrap import ports_from_environment
from rollback.errors import CallRefused, ExternalServiceError, InvalidRequest, Throttled
from rollback.names import AWAIT_APPROVAL, event_type
from rollback.observability.log import InvocationLog
from rollback.observability.observed_ports import observe_ports
from rollback.ports.all_ports import AllPorts
from rollback.resources.aws.execution_failure import ExecutionFailure
from rollback.workflow.route import Step
from rollback.workflow.runner import Cursor, run_step, start_emergency, start_rollback
from rollback.workflow.unusable_input import end_execution

Payload = dict[str, Any]


@cache
def _log() -> InvocationLog:
    return InvocationLog()


@cache
def _ports() -> AllPorts:
    return observe_ports(ports_from_environment(), _log())


def _retryable(handler: Callable[[Payload, object], Payload]) -> Callable[[Payload, object], Payload]:
    """Raise every external error under one of three names, since Step Functions compares the class name alone.

    Step Functions retries `ExternalServiceError` and `Throttled`, and never `CallRefused`.
    """

    @wraps(handler)
    def call_handler(event: Payload, context: object) -> Payload:
        _log().begin_invocation(event, context)
        try:
            return handler(event, context)
        except ExternalServiceError as failure:
            names: tuple[type[ExternalServiceError], ...] = (Throttled, CallRefused, ExternalServiceError)
            error_class = next(name for name in names if isinstance(failure, name))
            if type(failure) is error_class:
                raise
            raise error_class(f"{type(failure).__name__}: {failure}") from failure

    return call_handler


@_retryable
def decide(event: Payload, context: object) -> Payload:  # noqa: ARG001 - Lambda's signature
    """Run Admit, Plan and Approve, and store the token of an execution that waits for an approval.

    A mistyped input of an operator ends the execution (`workflow.unusable_input`).

    Raises:
        InvalidRequest: the input of another starter can't be understood. The execution fails with the error's text, and
            pages. Nothing was changed.
    """
    if event.get("step") == AWAIT_APPROVAL:
        from rollback.approval.decide import await_approval  # noqa: PLC0415 - the other steps don't wait for it

        return {"waits": await_approval(event["cursor"]["rollback_id"], event["token"], _ports())}
    if event.get("step") == Step.ADMIT:
        return _start(start_rollback, event)
    return _run_step(event)


@_retryable
def service(event: Payload, context: object) -> Payload:  # noqa: ARG001
    """Run Service; an emergency is admitted, planned and begun in one invocation.

    Raises:
        InvalidRequest: as `decide`.
    """
    if event.get("step") == Step.EMERGENCY:
        return _start(start_emergency, event)
    return _run_step(event)


@_retryable
def report(event: Payload, context: object) -> Payload:  # noqa: ARG001
    """Run Verify and Conclude, and handle EventBridge's events of the janitor's schedule and ended executions."""
    # The other steps don't wait for the import of the janitor.
    from rollback.delivery.occasions import deliver_after_conclusion, deliver_on_event  # noqa: PLC0415
    from rollback.workflow.janitor.abandoned_rollbacks import conclude_execution  # noqa: PLC0415
    from rollback.workflow.janitor.sweep_services import sweep  # noqa: PLC0415

    match event.get("detail-type"):
        case None:
            cursor = _run_step(event)
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


@_retryable
def database(event: Payload, context: object) -> Payload:  # noqa: ARG001
    """Run Database, Reconnect and Data Loss, check the branch by SQL, and observe it on EventBridge's events."""
    from rollback.database.observation import schedule as observation_schedule  # noqa: PLC0415
    from rollback.workflow.janitor.comparisons import resume_abandoned_comparisons  # noqa: PLC0415

    match event.get("step"), event.get("detail-type"):
        case "check_database", _:
            return _check_database(event)
        case ((Step.DATABASE | Step.RECONNECT | Step.DATA_LOSS), _):
            return _run_step(event)
        case _, "ECS Deployment State Change":
            return {"done": observation_schedule.observe_on_deployment(event, _ports())}
        case _, "Scheduled Event":
            return {
                "done": [
                    *resume_abandoned_comparisons(_ports()),
                    *observation_schedule.observe_if_due(_ports()),
                ]
            }
        case step, kind:
            raise InvalidRequest(f"neither step {step!r} nor event {kind!r} is for this function; nothing was changed")


def _check_database(event: Payload) -> Payload:
    """Run the checks by SQL for a function without psycopg (`adapters.aws.database_checks`)."""
    from rollback.domain.database.database_question import DatabaseQuestion  # noqa: PLC0415
    from rollback.verification.checks.sql import check_by_sql  # noqa: PLC0415

    question = DatabaseQuestion.model_validate(event["question"])
    return {"checks": [check.model_dump(mode="json") for check in check_by_sql(question, _ports())]}


@_retryable
def promote(event: Payload, context: object) -> Payload:  # noqa: ARG001
    """Record and judge releases for the promotion's state machine and EventBridge's events."""
    from rollback.promotion import promote as promotion  # noqa: PLC0415

    match event.get("step"), event.get("detail-type"):
        case "record", _:
            return promotion.record_deployment(event["event"], _ports()).model_dump(mode="json")
        case "judge", _:
            cursor = promotion.PromotionCursor.model_validate(event["cursor"])
            return promotion.judge_bake(cursor, _ports()).model_dump(mode="json")
        case _, "ECS Deployment State Change":
            return promotion.record_deployment(event, _ports()).model_dump(mode="json")
        case _, "Scheduled Event":
            return {"done": [cursor.summary for cursor in promotion.adopt_running_releases(_ports())]}
        case step, kind:
            raise InvalidRequest(f"neither step {step!r} nor event {kind!r} is for this function; nothing was changed")


@_retryable
def approve(event: Payload, context: object) -> Payload:  # noqa: ARG001
    """Take a person's decision about a waiting rollback; a refusal is an answer, not an error.

    Raises:
        ExternalServiceError: the decision may be stored; invoke again.
    """
    from rollback.approval.answer import answer_decision  # noqa: PLC0415

    return answer_decision(event, _ports())


def _start(start: Callable[[object, str, datetime, AllPorts], Cursor], event: Payload) -> Payload:
    """Run an entrance; a mistyped input of an operator ends the execution without a page."""
    started_at = datetime.fromisoformat(event["started_at"])
    try:
        return _as_payload(start(event["input"], event["execution"], started_at, _ports()))
    except InvalidRequest as mistake:
        return {**end_execution(event["input"], event["execution"], mistake, _ports())}


def _run_step(event: Payload) -> Payload:
    """Run the due step; the `error` that a Catch added becomes the reason of the failure."""
    cursor = event["cursor"]
    error = cursor.get("error")
    failure = ExecutionFailure.read(error.get("Error"), error.get("Cause")).text if isinstance(error, dict) else None
    return _as_payload(run_step(cursor["rollback_id"], Step(event["step"]), _ports(), failure))


def _as_payload(cursor: Cursor) -> Payload:
    return cursor.model_dump(mode="json")
