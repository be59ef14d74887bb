"""EventBridge's rules: a rule matches events and calls its targets with each target's role. AWS services emit here."""

import copy
import datetime
import json
import threading
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from moto.events.models import Rule, events_backends

from local_cloud.events import delivery
from local_cloud.events.delivery import Delivery
from local_cloud.events.schedule import Scheduler
from local_cloud.faults import outage
from local_cloud.moto_fixes import event_patterns, put_events

__all__ = ["Delivery", "clear_deliveries", "deliveries", "emit", "install", "set_duplicate_delivery", "stop"]


@dataclass
class _InjectedFaults:
    duplicates_delivery: bool = False


_faults = _InjectedFaults()


class _Running:
    scheduler: Scheduler | None = None


def emit(
    account: str, region: str, source: str, detail_type: str, detail: dict[str, Any], resources: Sequence[str] = ()
) -> str:
    """Put an event of an AWS service (source `aws.*`) on the default bus, and return its id."""
    event = {
        "id": str(uuid.uuid4()),
        "detail-type": detail_type,
        "source": source,
        "account": account,
        "time": datetime.datetime.now(datetime.UTC),
        "region": region,
        "resources": list(resources),
        "detail": detail,
    }
    delivered = _to_delivered_event(json.loads(json.dumps(event, default=_iso)))
    for rule in list(events_backends[account][region].event_buses["default"].rules.values()):
        _send_to_targets(rule, delivered)
    return str(delivered["id"])


def deliveries() -> list[Delivery]:
    """Return the result of each event at each target, since the start or since `clear_deliveries`."""
    return delivery.log.all()


def clear_deliveries() -> None:
    """Empty the delivery log."""
    delivery.log.clear()


def set_duplicate_delivery(enabled: bool) -> None:
    """Inject a fault: call every target twice for an event, with the same event id (delivery is at least once)."""
    _faults.duplicates_delivery = enabled


def _send_to_targets(self: Any, original_event: dict[str, Any], _transform_input: bool = True) -> None:
    """Deliver an event if the rule matches it, in place of moto's `Rule.send_to_targets`."""
    pattern = self.event_pattern  # a schedule rule has an empty pattern, which moto matches with every event
    if self.state == "ENABLED" and pattern._pattern and pattern.matches_event(original_event):
        _deliver_all(self, _to_delivered_event(original_event))


def _deliver_all(rule: Any, event: dict[str, Any]) -> None:
    if outage.is_down("events"):
        return
    for target in list(rule.targets):
        for _ in range(2 if _faults.duplicates_delivery else 1):
            threading.Thread(
                target=delivery.deliver,
                args=(rule.arn, copy.deepcopy(target), event),
                name=f"events-{rule.name}",
                daemon=True,
            ).start()


def _to_delivered_event(event: dict[str, Any]) -> dict[str, Any]:
    """Return the event with AWS's fields in AWS's order."""
    fields = ("id", "detail-type", "source", "account", "time", "region", "resources", "detail")
    return {"version": "0"} | {field: event[field] for field in fields} | {"time": _iso(event["time"])}


def _iso(moment: Any) -> str:
    if isinstance(moment, int | float):
        moment = datetime.datetime.fromtimestamp(moment, datetime.UTC)
    return moment if isinstance(moment, str) else moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _fire(rule: Any) -> None:
    event = {
        "id": str(uuid.uuid4()),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": rule.account_id,
        "time": datetime.datetime.now(datetime.UTC),
        "region": rule.region_name,
        "resources": [rule.arn],
        "detail": {},
    }
    _deliver_all(rule, _to_delivered_event(event))


def install() -> None:
    """Put our delivery in place of moto's, and start the scheduler."""
    Rule.send_to_targets = _send_to_targets
    event_patterns.install()
    put_events.install()
    delivery.log.stopping.clear()
    clear_deliveries()
    if _Running.scheduler is None:
        _Running.scheduler = Scheduler(_fire)


def stop() -> None:
    """End the scheduler and waiting deliveries, and forget the fault."""
    delivery.log.stopping.set()
    set_duplicate_delivery(False)
    if _Running.scheduler is not None:
        _Running.scheduler.stop()
        _Running.scheduler = None
