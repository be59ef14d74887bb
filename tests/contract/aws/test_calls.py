"""The adapters' clients check every call against botocore's models before they send it.

So the contract and end-to-end tests, which send each call through these clients, prove that AWS knows its operation and
parameters: moto alone would take some that AWS refuses. Nothing is sent here: there is no such endpoint.
"""

from collections.abc import Callable
from typing import Any, cast

import boto3
import pytest
from botocore.exceptions import ParamValidationError
from contract.real_ports import WEB

from rollback.bootstrap import make_ports
from rollback.domain.settings.environment import Settings
from rollback.errors import ExternalServiceError
from rollback.ports.all_ports import AllPorts
from rollback.resources.aws.ecs_service import ScalableTarget

WRONG = cast(Any, 7)  # where AWS takes a text
SCALABLE = ScalableTarget(min_capacity=WRONG, max_capacity=2, suspended={"DynamicScalingInSuspended": True})

CALLS: dict[str, Callable[[AllPorts], object]] = {
    "reading ECS": lambda ports: ports.services.has_container_insights(WRONG),
    "changing ECS": lambda ports: ports.services.update(WEB, definition_arn=WRONG),
    "target_groups": lambda ports: ports.target_groups.health(WRONG),
    "scaling": lambda ports: ports.scaling.put(WEB, SCALABLE.model_copy(update={"min_capacity": "2"})),
    "stacks": lambda ports: ports.stacks.describe(WRONG),
    "notifications": lambda ports: ports.notifications.publish("s", "m", {"severity": WRONG}),
    "workflow": lambda ports: ports.workflow.start(WRONG, {}),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_call_that_botocores_model_does_not_know_is_not_sent(
    call: Callable[[AllPorts], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://localhost:1")
    session = boto3.Session("key", "secret", region_name="eu-west-1")
    settings = Settings(application="macro-ai", environment="production", services=(WEB,))
    topic = "arn:aws:sns:eu-west-1:123456789012:none"
    ports = make_ports(
        settings,
        ledger_table="none",
        topic_arn=topic,
        critical_topic_arn=topic,
        workflow_arn="arn:aws:states:eu-west-1:123456789012:stateMachine:none",
        session=session,
    )

    with pytest.raises(ExternalServiceError) as failure:
        call(ports)

    assert isinstance(failure.value.__cause__, ParamValidationError), failure.value
