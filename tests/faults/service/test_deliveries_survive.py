"""Crashes around every effect of a rollback with chat messages: each channel is delivered or due."""

import json
from dataclasses import replace
from typing import Any, cast

import pytest
from fakes.aws.secrets import FakeSecrets
from fakes.webhooks import FakeWebhooks
from faults.scenarios.crash import CrashingProxy, FaultInjector, ProcessKilled, crash_points
from faults.scenarios.service import Incident
from pydantic import SecretStr

from rollback.delivery.occasions import deliver_after_conclusion
from rollback.domain.approval.policy import ApprovalPolicy, ApprovalReason
from rollback.domain.delivery.delivery import Channel, Delivery
from rollback.domain.rollback import Outcome
from rollback.domain.settings.chat import ChatSettings, ChatWebhook, WebhookKind
from rollback.workflow import janitor
from rollback.workflow.janitor.late_deliveries import send_late_deliveries

URL_ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:chat-url-AbCdEf"
WANTED = (Channel.EVENTS, Channel.CHAT)


class ChattingIncident(Incident):
    """An incident whose environment has a webhook, and whose bus and webhook may be the place of a crash."""

    def __init__(self, outside: FaultInjector | None = None) -> None:
        super().__init__(outside or FaultInjector())
        self.webhooks = FakeWebhooks()
        secrets = FakeSecrets()
        secrets.values[URL_ARN] = SecretStr("https://hooks.example.test/x")
        chat = ChatSettings(webhook=ChatWebhook(kind=WebhookKind.GENERIC, url_secret_arn=URL_ARN))
        settings = self.real.settings.model_copy(update={"chat": chat})
        fragile: dict[str, Any] = {
            "events": CrashingProxy(self.real.events, self.outside),
            "webhooks": CrashingProxy(self.webhooks, self.outside),
        }
        self.real = replace(self.real, settings=settings, secrets=secrets, webhooks=self.webhooks)
        self.ports = replace(self.ports, settings=settings, secrets=secrets, **fragile)

    def run_and_deliver(self) -> None:
        """Run the rollback to its end, and deliver it as the function `report` does; stop at a crash."""
        self.deliver("execution-1", retries=False)
        for rollback in self.documents():
            deliver_after_conclusion(rollback.id, self.ports)

    def deliveries(self) -> list[Delivery | None]:
        (rollback,) = self.documents()
        return [self.ledger.delivery(rollback.id, channel) for channel in WANTED]

    def messages(self) -> list[str]:
        """Identities of the posted messages."""
        return [str(json.loads(request.body)["message_id"]) for request in self.webhooks.posted]


def count_calls_without_crash() -> int:
    incident = ChattingIncident()
    incident.run_and_deliver()
    return incident.outside.calls


CALLS = count_calls_without_crash()


def test_without_a_crash_one_message_is_posted() -> None:
    incident = ChattingIncident()
    incident.run_and_deliver()
    (rollback,) = incident.documents()
    assert rollback.outcome is Outcome.SUCCEEDED
    assert incident.messages() == [f"{rollback.id}:1:concluded"]


@pytest.mark.parametrize(("kill_at", "after"), crash_points(CALLS))
def test_after_a_crash_at_any_call_each_channel_of_a_concluded_rollback_is_delivered_or_due(
    kill_at: int, after: bool
) -> None:
    incident = ChattingIncident(FaultInjector(kill_at, after=after))
    with pytest.raises(ProcessKilled):
        incident.run_and_deliver()
    incident.outside.restart_process()
    if not incident.documents():
        pytest.skip("no document was written yet")
    (rollback,) = incident.documents()
    if rollback.concluded_at is not None:
        for delivery in incident.deliveries():
            assert delivery is not None
            assert delivery.is_due or delivery.delivered_key == delivery.wanted_key

    for _ in range(24):
        incident.pass_time(minutes=5)
        janitor.sweep(incident.ports)

    assert all(r.concluded_at is not None for r in incident.documents())
    assert not list(incident.ledger.due_deliveries())
    assert len(incident.messages()) <= len(set(incident.messages())) + 1, "more than the crash's own copy was posted"
    assert cast(Any, incident.real.events).kinds[-1] == "rollback.concluded"


class GateReached(Exception):
    """The rollback waits for an approval."""


class AskingIncident(ChattingIncident):
    """An incident whose rollback asks for an approval. All events of the bus are lost."""

    def __init__(self) -> None:
        super().__init__()
        approval = ApprovalPolicy(required_for=(ApprovalReason.FORCED,))
        settings = self.real.settings.model_copy(update={"approval": approval})
        self.real, self.ports = replace(self.real, settings=settings), replace(self.ports, settings=settings)

    def pass_time(self, **duration: float) -> None:
        if any(document.is_at_gate for document in self.documents()) and not self.webhooks.posted:
            raise GateReached
        super().pass_time(**duration)


def test_a_request_for_an_approval_whose_event_is_lost_is_sent_by_the_janitor() -> None:
    incident = AskingIncident()
    with pytest.raises(GateReached):
        incident.deliver("execution-1", {"force": True, "reason": "try", "requested_by": "ada"})
    assert {delivery.channel for delivery in incident.ledger.due_deliveries()} == set(WANTED)

    incident.clock.pass_time(minutes=2)
    list(send_late_deliveries(incident.ports))

    (rollback,) = incident.documents()
    assert rollback.is_at_gate
    assert incident.messages() == [f"{rollback.id}:1:approval_requested"]
    assert cast(Any, incident.real.events).kinds[-1] == "rollback.approval_requested"
