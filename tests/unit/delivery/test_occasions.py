"""The function `report` delivers after Conclude and on our own events; no failure of a delivery leaves it."""

from dataclasses import replace
from typing import Any, cast

import pytest
from fakes.aws.secrets import FakeSecrets
from fakes.webhooks import FakeWebhooks
from pydantic import SecretStr
from simulations.fake_ports import SETTINGS, make_ports
from simulations.github_deliveries import concluded, fake_of, github_ports
from support.builders import NOW, SERVICE, rollback

from rollback import handlers
from rollback.delivery.event_detail import event_detail
from rollback.delivery.occasions import deliver_after_conclusion
from rollback.domain.delivery.delivery import Channel
from rollback.domain.delivery.phase import Phase
from rollback.domain.rollback import Outcome
from rollback.domain.settings.chat import ChatSettings, ChatWebhook, WebhookKind
from rollback.errors import ExternalServiceError, InvalidRequest
from rollback.ports.all_ports import AllPorts, OptionalPorts

URL_ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:chat-url-AbCdEf"
ENDED = rollback(outcome=Outcome.FAILED, concluded_at=NOW, is_reported=True)


@pytest.fixture
def ports(monkeypatch: pytest.MonkeyPatch) -> AllPorts:
    secrets = FakeSecrets()
    secrets.values[URL_ARN] = SecretStr("https://hooks.example.test/x")
    chat = ChatSettings(webhook=ChatWebhook(kind=WebhookKind.GENERIC, url_secret_arn=URL_ARN))
    made = make_ports(settings=SETTINGS.model_copy(update={"chat": chat}), secrets=secrets)
    made.ledger.create(ENDED)
    monkeypatch.setattr("rollback.functions.report._ports", lambda: made)
    return made


def webhooks(ports: AllPorts) -> FakeWebhooks:
    return cast(FakeWebhooks, ports.webhooks)


def conclude() -> dict[str, Any]:
    return handlers.report({"step": "conclude", "cursor": {"rollback_id": ENDED.id}}, None)


def test_a_concluded_rollback_is_delivered_after_its_step(ports: AllPorts) -> None:
    assert conclude()["next"] == "done"
    assert len(webhooks(ports).posted) == 1
    conclude()
    assert len(webhooks(ports).posted) == 1


def test_a_round_before_the_conclusion_delivers_nothing() -> None:
    open_ports = github_ports()
    failed = concluded(Outcome.FAILED, concluded_at=None)
    open_ports.ledger.create(failed)
    assert deliver_after_conclusion(failed.id, open_ports) == []
    assert fake_of(open_ports).statuses == {}


def test_deliveries_read_secrets_with_short_timeouts(ports: AllPorts) -> None:
    asked: list[bool] = []

    def short() -> OptionalPorts:
        asked.append(True)
        names = OptionalPorts.__dataclass_fields__
        return OptionalPorts(**{name: getattr(ports, name) for name in names})

    deliver_after_conclusion(ENDED.id, replace(ports, emergency_ports=short))
    assert asked == [True]


def test_a_failed_delivery_leaves_the_cursor_as_it_is(ports: AllPorts) -> None:
    webhooks(ports).answer = ExternalServiceError("the webhook gave no answer")
    assert conclude()["next"] == "done"
    (due,) = ports.ledger.due_deliveries()
    assert (due.channel, due.last_error) == (Channel.CHAT, "the webhook gave no answer")
    assert ports.ledger.read(SERVICE, ENDED.id).outcome is Outcome.FAILED


def test_our_own_event_delivers_its_rollback(ports: AllPorts) -> None:
    detail = event_detail(ENDED, Phase.CONCLUDED, "macro-ai")
    answer = handlers.report({"id": "e-1", "detail-type": "rollback.concluded", "detail": detail}, None)
    assert answer == {"done": [f"{ENDED.id}: chat shows 1:concluded:failed"]}
    assert len(webhooks(ports).posted) == 1


@pytest.mark.usefixtures("ports")
def test_another_event_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="not for this function"):
        handlers.report({"detail-type": "rollbacks are great"}, None)
