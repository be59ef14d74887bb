"""The function `approve`: takes a person's decision about a waiting rollback."""

from functools import cache

from rollback.approval.answer import answer_decision
from rollback.drivers.drivers import Drivers
from rollback.functions.invocation import Payload, entry_point, make_observed_ports
from rollback.observability.traces import trace_call
from rollback.ports.all_ports import AllPorts


@cache
def _ports() -> AllPorts:
    return make_observed_ports(Drivers(), trace_call)


@entry_point
def handle(event: Payload, context: object) -> Payload:  # noqa: ARG001 - Lambda's signature
    """Take a person's decision about a waiting rollback; a refusal is an answer, not an error.

    Raises:
        ExternalServiceError: the decision may be stored; invoke again.
    """
    return answer_decision(event, _ports())
