"""Sweep: one round over all services and all pending rollbacks, with the metrics that our own alarms watch.

The ledger's index lists everything that is pending, also of services that left the settings. Neither a failure nor an
unreadable item keeps the sweep from the rest.
"""

from collections.abc import Callable, Iterator

from rollback.domain.drills.completed_drill import days_since
from rollback.domain.drills.eligibility import is_drilled
from rollback.domain.ledger.index import PendingEntry
from rollback.errors import RollbackError
from rollback.identity.task_definition import read_standing_plan
from rollback.leases.holder import find_rollback
from rollback.leases.leftover import is_lease_stale, release_leases_of_concluded
from rollback.ports.all_ports import AllPorts
from rollback.workflow.janitor.abandoned_rollbacks import conclude_abandoned, end_overdue_gate, is_abandoned
from rollback.workflow.janitor.comparisons import end_overdue_comparison
from rollback.workflow.janitor.late_deliveries import send_late_deliveries
from rollback.workflow.janitor.late_reports import page_counted_pages, page_unreadable_items, send_late_report
from rollback.workflow.janitor.rechecks import recheck_triggers


def sweep(ports: AllPorts) -> list[str]:
    """Sweep all services once.

    Returns:
        Each action, in one line.

    Raises:
        RollbackError: the first failure. All other work of the sweep was done.
    """
    results: list[str] = []
    failures: list[RollbackError] = []

    def attempt(action: Callable[[], Iterator[str]]) -> None:
        try:
            results.extend(action())
        except RollbackError as failure:
            failures.append(failure)

    attempt(lambda: _build_index(ports))
    pending: list[PendingEntry] = []
    is_read: list[bool] = []
    attempt(lambda: _read_index(ports, pending, is_read))
    service_names = ports.settings.service_names
    for service in (*service_names, *sorted({entry.service for entry in pending} - set(service_names))):
        entries_of_service = [entry for entry in pending if entry.service == service]
        for entry in entries_of_service:
            attempt(lambda entry=entry: _process_pending(entry, ports))  # type: ignore[misc]
        if service in service_names:
            attempt(lambda service=service: release_leases_of_concluded(service, ports))  # type: ignore[misc]
            if is_read:  # without the index an open rollback might be missed
                attempt(lambda service=service, entries=entries_of_service: recheck_triggers(service, entries, ports))  # type: ignore[misc]
            attempt(lambda service=service: _emit_alarm_metrics(service, ports))  # type: ignore[misc]
    attempt(lambda: page_unreadable_items(ports))
    attempt(lambda: page_counted_pages(ports))
    ports.metrics.record_sweep()  # before the deliveries: slow receivers must not look like a dead janitor
    attempt(lambda: send_late_deliveries(ports))
    if failures:
        raise failures[0]
    return results


def _build_index(ports: AllPorts) -> Iterator[str]:
    """Build the index of a ledger that an older version wrote, over several sweeps."""
    if not ports.ledger.build_index(ports.settings.service_names, ports.clock.now()):
        yield "the ledger's index is being built"


def _read_index(ports: AllPorts, pending: list[PendingEntry], is_read: list[bool]) -> Iterator[str]:
    """Fill `pending`, add to `is_read` once that succeeded, and record items that can't be read."""
    now, entries = ports.clock.now(), ports.ledger.pending()
    pending.extend(entries.items)
    is_read.append(True)
    for service in ports.settings.service_names:
        for item in ports.ledger.obligations(service).unreadable:
            ports.ledger.record_unreadable(item, now)
    for item in entries.unreadable:
        ports.ledger.record_unreadable(item, now)
    yield from ()


def _process_pending(entry: PendingEntry, ports: AllPorts) -> Iterator[str]:
    """Continue one pending rollback. An unreadable rollback is recorded for an operator."""
    rollback = find_rollback(entry.rollback_id, ports)
    if rollback is None:
        return
    own_ports = ports.for_settings(rollback.settings)
    if rollback.concluded_at is None:
        if is_abandoned(rollback, own_ports):
            yield conclude_abandoned(rollback, "its execution ended without a conclusion", own_ports, recheck=True)
        else:
            yield from end_overdue_gate(rollback, own_ports)
    elif not rollback.is_reported:
        yield from send_late_report(rollback, own_ports)
    elif rollback.is_data_loss_report_due:
        yield from end_overdue_comparison(rollback, own_ports)
    elif entry.recheck_at is not None and rollback.service_name not in ports.settings.service_names:
        ports.ledger.save(rollback.evolve(recheck_at=None))
        yield f"{rollback.id}: its service was removed from the settings, so its trigger is not evaluated again"


def _emit_alarm_metrics(service: str, ports: AllPorts) -> Iterator[str]:
    """Emit the metrics of readiness, stale leases and the age of drills for the alarms on our own operation."""
    standing_plan = read_standing_plan(service, ports)
    ports.metrics.record_readiness(
        service,
        is_rollback_available=standing_plan is not None and standing_plan.is_ready,
        stale_leases=int(is_lease_stale(service, ports)),
    )
    drills = ports.settings.drills
    if drills.schedule is not None and is_drilled(service, ports.settings):
        last_drill = ports.ledger.last_drill(service)
        ports.metrics.record_drill_age(service, days_since(last_drill, ports.clock.now(), drills.max_age_days))
    yield from ()
