"""Measure the reads of a young and an old ledger by each part: requests, bytes and seconds on moto's DynamoDB.

    make bench            # 10, 100, 1,000 and 10,000 records and releases

moto scans a whole partition for each query, so its seconds grow with the partition; DynamoDB's do not. Requests and
bytes are those of the real adapter.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from simulations.fake_ports import DEGRADED, OUTAGE
from simulations.service import PROMOTED, Simulation, alarm_event
from support.builders import NOW, SERVICE, definition, release, rollback
from support.ledger_tables import new_table

from local_cloud.deployment.server import LocalCloud
from rollback.adapters.ledger.documents import _document, build_index_parts
from rollback.adapters.ledger.dynamodb import DynamoLedger
from rollback.adapters.ledger.releases import _lookup_parts, release_item
from rollback.canonical_json import sha256_of
from rollback.check import Check, Verdict
from rollback.domain.plan import Plan
from rollback.domain.releases.release import ReleaseState, fingerprint, normalised_definition
from rollback.domain.rollback import Outcome
from rollback.promotion.readiness import prepare_standing_plan
from rollback.workflow import janitor
from rollback.workflow.route import Step
from rollback.workflow.runner import run_step, start_emergency
from rollback_cli.output.status.read import read_status

_BATCH = 25


def fill(ledger: DynamoLedger, age: int) -> None:
    """Add `age` concluded rollbacks and quarantined releases, an hour apart, older than those of the simulation."""
    table = ledger._table
    items = []
    checks = tuple(Check(name=f"check-{n}", verdict=Verdict.PASS, reason="y" * 200) for n in range(20))
    for number in range(age):
        at = NOW - timedelta(hours=100 + number)
        task_definition = definition(f"old-{number}")
        old_release = release(f"old-{number}", state=ReleaseState.QUARANTINED)
        old_release = old_release.model_copy(
            update={
                "first_deployed_at": at,
                "fingerprint": fingerprint(task_definition, {}),
                "definition_sha256": sha256_of(normalised_definition(task_definition, {})),
            }
        )
        document = rollback(
            id=f"{SERVICE}-{at:%Y%m%dT%H%M%S}000Z-{number:08x}",
            created_at=at,
            admitted_at=at,
            plan=Plan(running=old_release, target=release("v1"), checks=checks),
            outcome=Outcome.SUCCEEDED,
            is_reported=True,
            concluded_at=at,
            execution=f"old-{number}",
        )
        index_items = [
            part["Put"]["Item"]
            for part in (*_lookup_parts(table, old_release), *build_index_parts(table, document))
            if "Put" in part
        ]
        items += [release_item(old_release), _document(document), *index_items]
    for start in range(0, len(items), _BATCH):
        batch: list[Any] = [{"PutRequest": {"Item": item}} for item in items[start : start + _BATCH]]
        table.client.batch_write_item(RequestItems={table.name: batch})


class CallCounter:
    """Counts the requests and the response bytes of DynamoDB's client."""

    def __init__(self, client: Any) -> None:
        self.requests = self.bytes = 0
        client.meta.events.register("after-call.dynamodb", self._count)

    def _count(self, parsed: Any, **_: Any) -> None:
        self.requests += 1
        self.bytes += len(json.dumps(parsed, default=str))

    def measure(self, call: Callable[[], Any]) -> tuple[int, int, float]:
        """Return requests, bytes and seconds of a call."""
        self.requests = self.bytes = 0
        started = time.perf_counter()
        call()
        return self.requests, self.bytes, time.perf_counter() - started


def age_ledger_and_measure(cloud: LocalCloud, age: int) -> dict[str, tuple[int, int, float]]:
    """Measure each part at one age of the ledger."""
    client, name = new_table(cloud.client("dynamodb"))
    ledger = DynamoLedger(client, name)
    ledger.build_index((SERVICE,), NOW - timedelta(hours=1))
    fill(ledger, age)
    simulation = Simulation(ledger=ledger)  # type: ignore[arg-type]
    simulation.ship("v1", PROMOTED, hours_ago=48)
    simulation.ship("v2")
    prepare_standing_plan(SERVICE, simulation.ports)
    counter, figures = CallCounter(client), {}
    for alarm in (DEGRADED, OUTAGE):
        simulation.alarms.fire(alarm, NOW)
    admitted_rollbacks: list[Any] = []
    figures["Admit"] = counter.measure(lambda: admitted_rollbacks.append(simulation.admit(alarm_event())))
    figures["Plan"] = counter.measure(lambda: run_step(admitted_rollbacks[0].id, Step.PLAN, simulation.ports))
    simulation.run_to_end(admitted_rollbacks[0])
    figures["janitor, a sweep"] = counter.measure(lambda: janitor.sweep(simulation.ports))
    service = simulation.ports.settings.services[0]
    figures["status"] = counter.measure(lambda: read_status(service, simulation.ports))
    simulation.clock.pass_time(minutes=200)
    simulation.ship("v3", hours_ago=-3.2)
    request = {"type": "emergency"}
    figures["emergency, to UpdateService"] = counter.measure(
        lambda: start_emergency(request, "e", simulation.clock.now(), simulation.ports)
    )
    return figures


def main() -> None:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ages", nargs="*", type=int, default=[10, 100, 1000, 10000])
    ages = parser.parse_args().ages
    with LocalCloud(scale=100) as cloud:
        tables = {age: age_ledger_and_measure(cloud, age) for age in ages}
    print("| Part | " + " | ".join(f"{age:,} records" for age in ages) + " |")
    print("|---|" + "---|" * len(ages))
    for part in tables[ages[0]]:
        cells = (tables[age][part] for age in ages)
        print(f"| {part} | " + " | ".join(f"{n} req, {size / 1000:.0f} kB, {s:.2f} s" for n, size, s in cells) + " |")


if __name__ == "__main__":
    main()
