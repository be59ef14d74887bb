"""The janitor sends due deliveries, the newest first, and counts those that are late."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
from fakes.aws.events import FakeEvents
from fakes.aws.metrics import FakeMetrics
from fakes.clock import FakeClock
from simulations.fake_ports import make_ports
from support.builders import NOW, SERVICE, rollback

from rollback.delivery.channels import CHANNELS
from rollback.delivery.deliver import want_deliveries
from rollback.domain.delivery.delivery import Channel, Delivery
from rollback.domain.rollback import Outcome, Rollback
from rollback.ports.all_ports import AllPorts
from rollback.ports.reporting import RollbackEvent
from rollback.workflow.janitor.late_deliveries import count_late_deliveries, send_late_deliveries
from rollback.workflow.janitor.sweep_services import sweep


def ended(number: int) -> Rollback:
    at = NOW + timedelta(seconds=number)
    return rollback(
        id=f"{SERVICE}-20260301T0300{number:02}000Z-{number:08}",
        execution=f"execution-{number}",
        created_at=at,
        outcome=Outcome.FAILED,
        concluded_at=at,
    )


@pytest.fixture
def ports() -> AllPorts:
    return make_ports()


def leave_due(ports: AllPorts, count: int) -> None:
    for number in range(count):
        document = ended(number)
        ports.ledger.create(document)
        want_deliveries(document, CHANNELS, ports)
        pass_time(ports, seconds=1)


def pass_time(ports: AllPorts, **span: float) -> None:
    assert isinstance(ports.clock, FakeClock)
    ports.clock.pass_time(**span)


def sent(ports: AllPorts) -> list[str]:
    assert isinstance(ports.events, FakeEvents)
    return [str(event.detail["rollback_id"]) for event in ports.events.put_events]


def test_the_newest_are_sent_first_and_a_sweep_is_bounded(ports: AllPorts) -> None:
    leave_due(ports, 25)
    pass_time(ports, minutes=2)
    list(send_late_deliveries(ports))
    assert sent(ports) == [ended(number).id for number in range(24, 4, -1)]
    list(send_late_deliveries(ports))
    assert sorted(sent(ports)) == [ended(number).id for number in range(25)]
    assert not list(ports.ledger.due_deliveries())


def test_a_delivery_that_another_process_may_be_sending_is_left_alone(ports: AllPorts) -> None:
    leave_due(ports, 1)
    list(send_late_deliveries(ports))
    assert sent(ports) == []


def test_late_deliveries_are_counted(ports: AllPorts) -> None:
    leave_due(ports, 3)
    pass_time(ports, minutes=16)
    assert count_late_deliveries(ports) == 3
    list(send_late_deliveries(ports))
    assert isinstance(ports.metrics, FakeMetrics)
    assert ports.metrics.late_deliveries == 3
    list(send_late_deliveries(ports))
    assert ports.metrics.late_deliveries == 0


@pytest.mark.parametrize("channel", [Channel.EVENTS, Channel.STORED_REPORT])
def test_a_delivery_without_a_rollback_or_without_a_channel_is_dropped(ports: AllPorts, channel: Channel) -> None:
    ports.ledger.put_delivery(Delivery(rollback_id="gone-1-1", channel=channel).want("x", 1, NOW), None)
    pass_time(ports, minutes=2)
    (line,) = send_late_deliveries(ports)
    assert "dropped" in line
    assert not list(ports.ledger.due_deliveries())


class SlowBus:
    """A bus that answers after fifteen seconds, and notes how many sweeps were recorded by then."""

    def __init__(self) -> None:
        self.ports: AllPorts | None = None
        self.sweeps: list[int] = []

    def put(self, events: Sequence[RollbackEvent]) -> None:
        assert events
        assert self.ports is not None
        assert isinstance(self.ports.metrics, FakeMetrics)
        pass_time(self.ports, seconds=15)
        self.sweeps.append(self.ports.metrics.sweeps)


def test_slow_receivers_neither_hide_the_janitor_nor_hold_it_for_long() -> None:
    bus = SlowBus()
    ports = bus.ports = make_ports(events=bus)
    leave_due(ports, 5)
    pass_time(ports, minutes=2)
    sweep(ports)
    assert bus.sweeps == [1, 1], "the sweep is recorded first, and no delivery begins after 20 seconds"
    assert len(list(ports.ledger.due_deliveries())) == 3
