"""The delivery engine: each state is sent once, and what could not be sent stays due."""

from dataclasses import dataclass, field

import pytest
from fakes.clock import FakeClock
from fakes.ledger import FakeLedger
from simulations.fake_ports import make_ports
from support.builders import NOW, rollback

from rollback.delivery.deliver import acknowledge, deliver, drop_delivery, want_deliveries
from rollback.domain.delivery.delivery import Channel, Delivery
from rollback.domain.rollback import Outcome, Rollback
from rollback.errors import CallRefused, ExternalServiceError, Throttled, UnreadableItem
from rollback.ports.all_ports import AllPorts


@dataclass
class Receiver:
    """A channel that shows the outcome; a test sets how it answers."""

    name: Channel = Channel.CHAT
    sent: list[tuple[str, Delivery | None]] = field(default_factory=list)
    answer: Exception | None = None
    is_set: bool = True

    def key(self, rollback: Rollback, ports: AllPorts) -> str | None:
        assert ports
        return str(rollback.outcome or "running") if self.is_set else None

    def send(self, rollback: Rollback, last: Delivery | None, ports: AllPorts) -> str:
        key = self.key(rollback, ports)
        assert key is not None
        self.sent.append((key, last))
        if self.answer is not None:
            raise self.answer
        return f"reference-{len(self.sent)}"

    @property
    def keys(self) -> list[str]:
        return [key for key, _ in self.sent]


RUNNING = rollback(version=3)
ENDED = RUNNING.evolve(outcome=Outcome.SUCCEEDED, version=4)


@pytest.fixture
def ports() -> AllPorts:
    return make_ports()


def stored(ports: AllPorts) -> Delivery:
    delivery = ports.ledger.delivery(RUNNING.id, Channel.CHAT)
    assert delivery is not None
    return delivery


def later(ports: AllPorts, **span: float) -> None:
    assert isinstance(ports.clock, FakeClock)
    ports.clock.pass_time(**span)


def test_a_state_is_sent_once(ports: AllPorts) -> None:
    channel = Receiver()
    deliver(RUNNING, [channel], ports)
    deliver(RUNNING, [channel], ports)
    assert channel.keys == ["running"]
    assert not stored(ports).is_due


def test_another_state_is_sent_with_the_reference_of_the_last(ports: AllPorts) -> None:
    channel = Receiver()
    deliver(RUNNING, [channel], ports)
    deliver(ENDED, [channel], ports)
    last = channel.sent[1][1]
    assert channel.keys == ["running", "succeeded"]
    assert last is not None
    assert (last.reference, last.attempts) == ("reference-1", 0)


def test_the_state_of_an_older_document_is_not_sent(ports: AllPorts) -> None:
    channel = Receiver()
    deliver(ENDED, [channel], ports)
    deliver(RUNNING, [channel], ports)
    assert channel.keys == ["succeeded"]
    assert not stored(ports).is_due


def test_a_channel_that_is_not_set_leaves_no_item(ports: AllPorts) -> None:
    deliver(RUNNING, [Receiver(is_set=False)], ports)
    assert ports.ledger.delivery(RUNNING.id, Channel.CHAT) is None


def test_a_failed_attempt_stays_due_and_is_repeated_after_growing_delays(ports: AllPorts) -> None:
    channel = Receiver(answer=ExternalServiceError("no answer\nwithin 3 s"))
    deliver(ENDED, [channel], ports)
    assert stored(ports).last_error == "no answer within 3 s"
    assert [d.rollback_id for d in ports.ledger.due_deliveries()] == [ENDED.id]
    waits = []
    for _ in range(8):
        wait = stored(ports).next_attempt_at
        assert wait is not None
        waits.append((wait - ports.clock.now()).total_seconds() / 60)
        later(ports, minutes=waits[-1])
        deliver(ENDED, [channel], ports)
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
    channel.answer = None
    later(ports, hours=1)
    deliver(ENDED, [channel], ports)
    assert not list(ports.ledger.due_deliveries())


def test_a_failed_attempt_is_not_repeated_before_its_time(ports: AllPorts) -> None:
    channel = Receiver(answer=Throttled("slow down"))
    deliver(ENDED, [channel], ports)
    deliver(ENDED, [channel], ports)
    assert channel.keys == ["succeeded"]


def test_a_repeated_attempt_knows_of_the_earlier_one(ports: AllPorts) -> None:
    channel = Receiver(answer=ExternalServiceError("no answer"))
    deliver(ENDED, [channel], ports)
    later(ports, minutes=1)
    deliver(ENDED, [channel], ports)
    assert channel.sent[0][1] is None
    assert channel.sent[1][1] is not None
    assert channel.sent[1][1].attempts == 1


def test_a_refused_message_is_repeated_hourly_for_a_day_and_then_given_up_with_one_message(ports: AllPorts) -> None:
    channel = Receiver(answer=CallRefused("the webhook is gone"))
    for _ in range(30):
        deliver(ENDED, [channel], ports)
        later(ports, hours=1)
    assert len(channel.sent) == 25
    (message,) = ports.notifications.sent  # type: ignore[attr-defined]
    assert message.attributes["severity"] == "info"
    assert "the webhook is gone" in message.message
    assert not stored(ports).is_due


def test_a_given_up_channel_gets_the_next_state(ports: AllPorts) -> None:
    channel = Receiver(answer=CallRefused("the webhook is gone"))
    for _ in range(26):
        deliver(RUNNING, [channel], ports)
        later(ports, hours=1)
    channel.answer = None
    deliver(ENDED, [channel], ports)
    assert stored(ports).delivered_key == "succeeded"


def test_a_defect_of_a_channel_keeps_no_other_channel_from_its_message(ports: AllPorts) -> None:
    broken, other = Receiver(answer=KeyError("secret-value")), Receiver(name=Channel.ISSUE)
    lines = deliver(ENDED, [broken, other], ports)
    assert other.keys == ["succeeded"]
    assert stored(ports).is_due
    assert "secret-value" not in "".join(lines) + stored(ports).last_error


def test_a_process_that_died_before_its_record_leaves_the_delivery_due_until_its_claim_expires(
    ports: AllPorts,
) -> None:
    died = Delivery(rollback_id=ENDED.id, channel=Channel.CHAT).want("succeeded", 4, NOW).claim(NOW)
    ports.ledger.put_delivery(died, None)
    channel = Receiver()
    deliver(ENDED, [channel], ports)
    assert channel.keys == []
    later(ports, seconds=91)
    deliver(ENDED, [channel], ports)
    assert channel.keys == ["succeeded"]
    assert channel.sent[0][1] is not None
    assert channel.sent[0][1].attempts == 1


class RacingLedger(FakeLedger):
    """A ledger in which another process delivers the same state between a read and a write."""

    def __init__(self) -> None:
        super().__init__()
        self.race: list[Receiver] = []
        self.ports: AllPorts | None = None

    def put_delivery(self, delivery: Delivery, previous: Delivery | None) -> None:
        if self.race and self.ports is not None:
            deliver(ENDED, [self.race.pop()], self.ports)
        super().put_delivery(delivery, previous)


def test_two_processes_that_deliver_at_once_send_one_message() -> None:
    ledger = RacingLedger()
    ports = make_ports(ledger=ledger)
    channel = Receiver()
    ledger.race, ledger.ports = [channel], ports
    deliver(ENDED, [channel], ports)
    assert channel.keys == ["succeeded"]


def test_a_state_that_becomes_wanted_during_a_send_stays_due(ports: AllPorts) -> None:
    class Slow(Receiver):
        def send(self, rollback: Rollback, last: Delivery | None, ports: AllPorts) -> str:
            if not self.sent:
                deliver(ENDED, [Receiver()], ports)
            return super().send(rollback, last, ports)

    deliver(RUNNING, [Slow()], ports)
    assert stored(ports).delivered_key == "running"
    assert stored(ports).is_due
    deliver(ENDED, [Receiver()], ports)
    assert stored(ports).delivered_key == "succeeded"


def test_a_wanted_delivery_is_due_before_it_is_sent(ports: AllPorts) -> None:
    want_deliveries(ENDED.evolve(version=3), [Receiver()], ports)
    assert stored(ports).is_due
    channel = Receiver()
    deliver(ENDED, [channel], ports)
    assert channel.sent[0][1] is not None
    assert channel.sent[0][1].attempts == 0


@dataclass
class SlowReceiver(Receiver):
    """A channel whose receiver answers after fifteen seconds."""

    def send(self, rollback: Rollback, last: Delivery | None, ports: AllPorts) -> str:
        later(ports, seconds=15)
        return Receiver.send(self, rollback, last, ports)


def test_slow_receivers_share_one_time_budget_and_the_rest_stays_due(ports: AllPorts) -> None:
    channels = [SlowReceiver(Channel.COMMIT_STATUS), SlowReceiver(Channel.ISSUE), SlowReceiver(Channel.CHAT)]
    deliver(ENDED, channels, ports)
    assert [channel.keys for channel in channels] == [["succeeded"], ["succeeded"], []]
    assert stored(ports).is_due
    deliver(ENDED, channels, ports)
    assert channels[2].keys == ["succeeded"]


def test_after_a_deadline_nothing_is_begun(ports: AllPorts) -> None:
    channel = Receiver()
    deliver(ENDED, [channel], ports, ports.clock.now())
    assert channel.keys == []
    assert stored(ports).is_due


def test_an_acknowledged_state_is_not_sent(ports: AllPorts) -> None:
    acknowledge(ENDED, Channel.CHAT, "succeeded", "event-1", ports)
    channel = Receiver()
    deliver(ENDED, [channel], ports)
    assert channel.keys == []
    assert stored(ports).reference == "event-1"


def test_a_due_delivery_to_a_channel_that_was_turned_off_is_dropped(ports: AllPorts) -> None:
    want_deliveries(ENDED, [Receiver()], ports)
    deliver(ENDED, [Receiver(is_set=False)], ports)
    assert not list(ports.ledger.due_deliveries())
    drop_delivery(Channel.CHAT, ENDED.id, ports)
    assert ports.notifications.sent == []  # type: ignore[attr-defined]


def test_an_unreadable_item_is_recorded_for_an_operator(ports: AllPorts, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable(rollback_id: str, channel: Channel) -> Delivery | None:
        raise UnreadableItem(f"DELIVERY#{rollback_id} / {channel}", "its body is no JSON")

    monkeypatch.setattr(ports.ledger, "delivery", unreadable)
    deliver(ENDED, [Receiver()], ports)
    assert [item.why for item in ports.ledger.unreadable()] == ["its body is no JSON"]
