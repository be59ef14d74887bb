"""The function `promote`: records and judges releases."""

from functools import cache

from rollback.drivers.drivers import Drivers
from rollback.drivers.http import make_http
from rollback.errors import InvalidRequest
from rollback.functions.invocation import Payload, entry_point, make_observed_ports
from rollback.observability.traces import trace_call
from rollback.ports.all_ports import AllPorts
from rollback.promotion import promote as promotion


@cache
def _ports() -> AllPorts:
    return make_observed_ports(Drivers(http=make_http), trace_call)


@entry_point
def handle(event: Payload, context: object) -> Payload:  # noqa: ARG001 - Lambda's signature
    """Record and judge releases for the promotion's state machine and EventBridge's events.

    Raises:
        InvalidRequest: the event is for another function; nothing was changed.
    """
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
