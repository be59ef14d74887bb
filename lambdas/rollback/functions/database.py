"""The function `database`: Database, Reconnect and Data Loss, checks by SQL, and the observation of the branch."""

from functools import cache

from rollback.database.observation import schedule as observation_schedule
from rollback.domain.database.database_question import DatabaseQuestion
from rollback.drivers.drivers import Drivers
from rollback.drivers.neon import make_neon
from rollback.drivers.sql import make_sql
from rollback.errors import InvalidRequest
from rollback.functions.invocation import Payload, entry_point, make_observed_ports, run_due_step
from rollback.observability.traces import trace_call
from rollback.ports.all_ports import AllPorts
from rollback.verification.checks.sql import check_by_sql
from rollback.workflow.database_steps import DATABASE_RUNNER
from rollback.workflow.resumed_comparisons import resume_abandoned_comparisons
from rollback.workflow.route import Step


@cache
def _ports() -> AllPorts:
    return make_observed_ports(Drivers(neon=make_neon, sql=make_sql), trace_call)


@entry_point
def handle(event: Payload, context: object) -> Payload:  # noqa: ARG001 - Lambda's signature
    """Run Database, Reconnect and Data Loss, check the branch by SQL, and observe it on EventBridge's events.

    Raises:
        InvalidRequest: the event is for another function; nothing was changed.
    """
    match event.get("step"), event.get("detail-type"):
        case "check_database", _:
            return _check_database(event)
        case ((Step.DATABASE | Step.RECONNECT | Step.DATA_LOSS), _):
            return run_due_step(event, DATABASE_RUNNER, _ports())
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
    question = DatabaseQuestion.model_validate(event["question"])
    return {"checks": [check.model_dump(mode="json") for check in check_by_sql(question, _ports())]}
