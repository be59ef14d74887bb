"""The ledger in dictionaries, with the same conditions as the table."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from fakes.copy import T

from rollback.canonical_json import sha256_of
from rollback.domain.approval.gate import Decision, RecordedDecision
from rollback.domain.database.branch_observation import Observation
from rollback.domain.database.reconnection import CausedDeployment
from rollback.domain.database.release_schema import ReleaseSchema
from rollback.domain.database.restore_points import RecordedPoint
from rollback.domain.delivery.delivery import Channel, Delivery
from rollback.domain.drills.completed_drill import CompletedDrill
from rollback.domain.lease import Lease
from rollback.domain.ledger.index import ChangeEntry, ObligationsEntry, PendingEntry, TriggerResultEntry, build_entries
from rollback.domain.ledger.page_count import PageCount
from rollback.domain.operator import OperatorAction, Pause
from rollback.domain.release_watch.watch import Baseline
from rollback.domain.releases.log_baseline import LogBaseline
from rollback.domain.releases.release import Release, ReleaseState
from rollback.domain.rollback import Rollback
from rollback.domain.standing_plan import Bake, StandingPlan
from rollback.domain.stored import ReadResult, SkippedItem
from rollback.errors import (
    Conflict,
    LeaseLost,
    LeaseTaken,
    UnreadableItem,
)
from rollback.resources.database.probe import DatabaseProbe


class FakeLedger:
    """The ledger in dictionaries, with the same conditions as the table.

    The index is derived from the documents at each call: what the real table keeps has to say the same.
    """

    def __init__(self) -> None:
        self._documents: dict[tuple[str, str], Rollback] = {}
        self._events: dict[str, str] = {}
        self._executions: dict[str, tuple[str, str]] = {}
        self._leases: dict[str, Lease] = {}
        self._counters: dict[str, int] = {}
        self._releases: dict[tuple[str, str], Release] = {}
        self._definitions: dict[str, dict[str, Any]] = {}
        self._plans: dict[str, StandingPlan] = {}
        self._bakes: dict[str, Bake] = {}
        self._watch_baselines: dict[str, Baseline] = {}
        self._schemas: dict[str, ReleaseSchema] = {}
        self._points: list[RecordedPoint] = []
        self._observations: dict[str, Observation] = {}
        self._probes: dict[str, DatabaseProbe] = {}
        self._pauses: dict[str, Pause] = {}
        self._caused_deployments: dict[str, CausedDeployment] = {}
        self._actions: dict[tuple[str, datetime, str], OperatorAction] = {}
        self._set_aside: dict[str, SkippedItem] = {}
        self._settled: set[tuple[str, str]] = set()
        self._pages: dict[tuple[str, str], PageCount] = {}
        self._decisions: dict[tuple[str, str], Decision] = {}
        self._tokens: dict[tuple[str, str], bytes] = {}
        self._deliveries: dict[tuple[str, Channel], Delivery] = {}

    def create(self, rollback: Rollback) -> Rollback:
        at = (rollback.service_name, rollback.id)
        if at in self._documents:
            return self._documents[at]
        if rollback.event is not None:
            if rollback.event.id in self._events:
                raise Conflict(f"event {rollback.event.id} was taken by another rollback already")
            self._events[rollback.event.id] = rollback.id
        self._documents[at] = rollback
        self._executions[rollback.execution or rollback.id] = at
        return rollback

    def read(self, service: str, rollback_id: str) -> Rollback:
        return self._documents[service, rollback_id]

    def find_by_execution(self, execution: str) -> tuple[str, str] | None:
        return self._executions.get(execution)

    def save(self, rollback: Rollback, *, under_lease_until: datetime | None = None) -> Rollback:
        if under_lease_until is not None:
            lease = self._leases.get(rollback.service_name)
            is_holder = lease is not None and (lease.holder, lease.counter) == (rollback.id, rollback.lease_counter)
            if lease is None or not is_holder or lease.expires_at <= under_lease_until:
                raise LeaseLost(f"{rollback.id} no longer holds the lease on {rollback.service_name}")
        at = (rollback.service_name, rollback.id)
        if at not in self._documents or self._documents[at].version != rollback.version:
            raise Conflict(f"{rollback.id} is no longer at version {rollback.version}: read it again")
        self._documents[at] = rollback.evolve(version=rollback.version + 1)
        return self._documents[at]

    def reopen(self, rollback: Rollback) -> Rollback:
        stored = self.save(rollback)
        self._executions[rollback.execution or rollback.id] = (stored.service_name, stored.id)
        return stored

    def records(self, service: str, before: str | None = None) -> Iterator[Rollback | UnreadableItem]:
        yield from (r for r in self.history(service) if before is None or r.id < before)

    def history(self, service: str) -> Iterator[Rollback]:
        rollbacks = [r for (owner, _), r in self._documents.items() if owner == service]
        yield from sorted(rollbacks, key=lambda r: r.id, reverse=True)

    def _entries(self, kind: type[T]) -> Iterator[T]:
        for (service, rollback_id), rollback in self._documents.items():
            if (service, rollback_id) not in self._settled or kind not in (PendingEntry, ObligationsEntry):
                yield from (entry for entry in build_entries(rollback).values() if isinstance(entry, kind))

    def pending(self, service: str | None = None) -> ReadResult[PendingEntry]:
        entries = [entry for entry in self._entries(PendingEntry) if service in (None, entry.service)]
        return ReadResult(tuple(sorted(entries, key=lambda entry: (entry.service, entry.rollback_id))))

    def obligations(self, service: str) -> ReadResult[ObligationsEntry]:
        entries = [entry for entry in self._entries(ObligationsEntry) if entry.service == service]
        return ReadResult(tuple(sorted(entries, key=lambda entry: entry.rollback_id, reverse=True)))

    def changes(self, service: str, since: datetime) -> ReadResult[ChangeEntry]:
        rollback_ids = {r.id for (owner, _), r in self._documents.items() if owner == service}
        entries = [
            entry
            for entry in self._entries(ChangeEntry)
            if entry.rollback_id in rollback_ids and entry.admitted_at >= since
        ]
        return ReadResult(tuple(sorted(entries, key=lambda entry: entry.admitted_at, reverse=True)))

    def trigger_results(self, service: str, alarm: str, since: datetime) -> ReadResult[TriggerResultEntry]:
        rollback_ids = {r.id for (owner, _), r in self._documents.items() if owner == service}
        entries = [
            entry
            for entry in self._entries(TriggerResultEntry)
            if entry.rollback_id in rollback_ids and entry.alarm == alarm and entry.created_at >= since
        ]
        return ReadResult(tuple(sorted(entries, key=lambda entry: entry.created_at, reverse=True)))

    def last_drill(self, service: str) -> CompletedDrill | None:
        rollback_ids = {r.id for (owner, _), r in self._documents.items() if owner == service}
        drills = [drill for drill in self._entries(CompletedDrill) if drill.rollback_id in rollback_ids]
        return max(drills, key=lambda drill: drill.ended_at, default=None)

    def clear_unreadable(self, service: str, rollback_id: str) -> None:
        self._settled.add((service, rollback_id))

    def record_unreadable(self, unreadable: UnreadableItem, at: datetime) -> None:
        assert at.tzinfo is not None
        self._set_aside.setdefault(unreadable.key, SkippedItem(key=unreadable.key, why=unreadable.why))

    def unreadable(self) -> tuple[SkippedItem, ...]:
        return tuple(sorted(self._set_aside.values(), key=lambda item: item.key, reverse=True))

    def mark_reported(self, unreadable: SkippedItem) -> None:
        self._set_aside[unreadable.key] = SkippedItem(key=unreadable.key, why=unreadable.why, is_reported=True)

    def build_index(self, services: tuple[str, ...], now: datetime) -> bool:
        assert services
        assert now.tzinfo is not None
        return True

    def page_count(self, service: str, aggregation_key: str) -> PageCount | None:
        return self._pages.get((service, aggregation_key))

    def put_page_count(self, count: PageCount, previous_count: PageCount | None) -> None:
        if self._pages.get((count.service, count.aggregation_key)) != previous_count:
            raise Conflict(f"the count of pages of {count.service} was changed by another writer: read the count again")
        self._pages[count.service, count.aggregation_key] = count

    def page_counts(self) -> tuple[PageCount, ...]:
        return tuple(count for count in self._pages.values() if count.unreported)

    def delivery(self, rollback_id: str, channel: Channel) -> Delivery | None:
        return self._deliveries.get((rollback_id, channel))

    def put_delivery(self, delivery: Delivery, previous: Delivery | None) -> None:
        at = (delivery.rollback_id, delivery.channel)
        stored = self._deliveries.get(at)
        if (stored.version if stored is not None else None) != (previous.version if previous is not None else None):
            raise Conflict(f"the delivery of {delivery.rollback_id} to {delivery.channel} was changed: read it again")
        self._deliveries[at] = delivery.model_copy(update={"version": delivery.version + 1})

    def due_deliveries(self) -> Iterator[Delivery]:
        due = [delivery for delivery in self._deliveries.values() if delivery.is_due]
        yield from sorted(due, key=lambda d: (d.due_since, d.rollback_id, d.channel), reverse=True)

    def acquire(self, service: str, rollback_id: str, now: datetime, until: datetime) -> Lease | None:
        current_lease = self._leases.get(service)
        if current_lease is not None and current_lease.expires_at > now:
            return current_lease if current_lease.holder == rollback_id else None
        counter = self._counters[service] = self._counters.get(service, 0) + 1
        lease = Lease(service=service, holder=rollback_id, counter=counter, expires_at=until)
        self._leases[service] = lease
        return lease

    def renew(self, lease: Lease, now: datetime, until: datetime) -> Lease:
        current_lease = self._leases.get(lease.service)
        is_holder = current_lease is not None and (current_lease.holder, current_lease.counter) == (
            lease.holder,
            lease.counter,
        )
        if current_lease is None or not is_holder or current_lease.expires_at <= now:
            raise LeaseLost(f"{lease.holder} no longer holds the lease on {lease.service}")
        renewed = lease.model_copy(update={"expires_at": until})
        self._leases[lease.service] = renewed
        return renewed

    def take_over(self, lease: Lease, rollback_id: str, until: datetime) -> Lease | None:
        stored_lease = self._leases.get(lease.service)
        if stored_lease is not None and (stored_lease.holder, stored_lease.counter) == (rollback_id, lease.counter + 1):
            return stored_lease
        if stored_lease is None or (stored_lease.holder, stored_lease.counter) != (lease.holder, lease.counter):
            return None
        counter = self._counters[lease.service] = lease.counter + 1
        current_lease = Lease(service=lease.service, holder=rollback_id, counter=counter, expires_at=until)
        self._leases[lease.service] = current_lease
        return current_lease

    def release_lease(self, service: str, rollback_id: str) -> None:
        current_lease = self._leases.get(service)
        if current_lease is not None and current_lease.holder == rollback_id:
            del self._leases[service]

    def lease(self, service: str) -> Lease | None:
        return self._leases.get(service)

    def lease_counter(self, service: str) -> int:
        return self._counters.get(service, 0)

    def record(self, release: Release, definition: dict[str, Any]) -> None:
        if sha256_of(definition) != release.definition_sha256:
            raise ValueError(f"the definition of {release.version} is not the one that the release names")
        self._definitions.setdefault(release.definition_sha256, definition)
        self._releases.setdefault((release.service, release.fingerprint), release)

    def definition(self, sha256: str) -> dict[str, Any]:
        return self._definitions[sha256]

    def release(self, service: str, fingerprint: str) -> Release | None:
        return self._releases.get((service, fingerprint))

    def find(self, service: str, name: str) -> tuple[Release, ...]:
        def has(release: Release) -> bool:
            digests = [f"sha256:{image.rpartition('@sha256:')[2]}" for image in release.images.values()]
            hashes = any(
                fingerprint_or_digest.startswith(name.lower())
                for fingerprint_or_digest in (release.fingerprint, *digests)
            )
            bare = any(fingerprint_or_digest.startswith(f"sha256:{name.lower()}") for fingerprint_or_digest in digests)
            begins = hashes or bare or (release.commit or "").startswith(name)
            return release.version == name or (len(name) >= 7 and begins)

        return tuple(release for release in self.releases(service) if has(release))

    def promoted(self, service: str) -> Iterator[Release]:
        return (release for release in self.releases(service) if release.state is ReleaseState.PROMOTED)

    def releases(self, service: str, *, since: datetime | None = None) -> Iterator[Release]:
        releases = [r for (owner, _), r in self._releases.items() if owner == service]
        recent_releases = [r for r in releases if since is None or r.first_deployed_at >= since]
        return iter(sorted(recent_releases, key=lambda r: (r.first_deployed_at, r.fingerprint), reverse=True))

    def bake(self, service: str) -> Bake | None:
        return self._bakes.get(service)

    def put_bake(self, bake: Bake) -> None:
        self._bakes[bake.service] = bake

    def watch_baseline(self, service: str) -> Baseline | None:
        return self._watch_baselines.get(service)

    def put_watch_baseline(self, service: str, baseline: Baseline) -> None:
        self._watch_baselines[service] = baseline

    def standing_plan(self, service: str) -> StandingPlan | None:
        return self._plans.get(service)

    def put_standing_plan(self, plan: StandingPlan) -> None:
        stored_plan = self._plans.get(plan.service)
        if stored_plan is None or stored_plan.computed_at <= plan.computed_at:
            self._plans[plan.service] = plan

    def replace_standing_plan(self, known_plan: StandingPlan, amended_plan: StandingPlan) -> None:
        if self._plans.get(known_plan.service) != known_plan:
            raise Conflict(f"the standing plan of {known_plan.service} was replaced: read the plan again")
        self._plans[known_plan.service] = amended_plan

    def pause(self, service: str) -> Pause | None:
        return self._pauses.get(service)

    def put_pause(self, pause: Pause) -> None:
        self._pauses.setdefault(pause.service, pause)

    def end_pause(self, service: str) -> None:
        self._pauses.pop(service, None)

    def caused_deployment(self, service: str) -> CausedDeployment | None:
        return self._caused_deployments.get(service)

    def put_caused_deployment(self, caused: CausedDeployment) -> None:
        predecessor = self._caused_deployments.get(caused.service)
        if predecessor is None or predecessor.asked_at <= caused.asked_at:
            self._caused_deployments[caused.service] = caused

    def record_action(self, action: OperatorAction) -> None:
        self._actions.setdefault((action.service, action.at, action.verb), action)

    def actions(self, service: str) -> Iterator[OperatorAction]:
        actions = [action for action in self._actions.values() if action.service == service]
        yield from sorted(actions, key=lambda action: action.at, reverse=True)

    def put_schema(self, schema: ReleaseSchema) -> None:
        self._schemas.setdefault(schema.sha256, schema)

    def schema(self, sha256: str) -> ReleaseSchema:
        return self._schemas[sha256]

    def set_release_schema(self, release: Release, schema_sha256: str) -> Release:
        key = (release.service, release.fingerprint)
        if self._releases[key] != release:
            raise Conflict(f"release {release.version} was changed by another writer: read the release again")
        self._releases[key] = release.model_copy(update={"schema_sha256": schema_sha256})
        return self._releases[key]

    def put_restore_point(self, point: RecordedPoint) -> None:
        def key(point: RecordedPoint) -> tuple[object, ...]:
            return point.branch, point.recorded_at, point.service, point.version

        if all(key(point) != key(stored_point) for stored_point in self._points):
            self._points.append(point)

    def restore_points(self, branch: str, *, since: datetime | None = None) -> Iterator[RecordedPoint]:
        points = [point for point in self._points if point.branch == branch]
        recent_points = [point for point in points if since is None or point.recorded_at >= since]
        return iter(sorted(recent_points, key=lambda point: point.recorded_at, reverse=True))

    def observation(self, branch: str) -> Observation | None:
        return self._observations.get(branch)

    def put_observation(self, observation: Observation) -> None:
        predecessor = self._observations.get(observation.branch)
        if predecessor is None or predecessor.observed_at <= observation.observed_at:
            self._observations[observation.branch] = observation

    def set_log_baseline(self, release: Release, baseline: LogBaseline) -> Release:
        key = (release.service, release.fingerprint)
        if self._releases[key].state is not release.state:
            raise Conflict(f"release {release.version} is no longer {release.state}: read it again")
        self._releases[key] = self._releases[key].model_copy(update={"log_baseline": baseline})
        return self._releases[key]

    def database_probe(self, branch: str) -> DatabaseProbe | None:
        return self._probes.get(branch)

    def put_database_probe(self, probe: DatabaseProbe) -> None:
        predecessor = self._probes.get(probe.branch)
        if predecessor is None or predecessor.at <= probe.at:
            self._probes[probe.branch] = probe

    def set_release_state(self, release: Release, state: ReleaseState, at: datetime, reason: str) -> Release:
        key = (release.service, release.fingerprint)
        if self._releases[key].state is not release.state:
            raise Conflict(f"release {release.version} is no longer {release.state}: read it again")
        changes = {"state": state, "state_since": at, "state_reason": reason}
        self._releases[key] = self._releases[key].model_copy(update=changes)
        return self._releases[key]

    def promote_release(self, release: Release, at: datetime, reason: str, lease_counter: int) -> Release:
        if self._releases[release.service, release.fingerprint].state is not release.state:
            raise Conflict(f"release {release.version} is no longer {release.state}: read it again")
        if self._counters.get(release.service, 0) != lease_counter:
            raise LeaseTaken(f"a rollback took the lease on {release.service}")
        return self.set_release_state(release, ReleaseState.PROMOTED, at, reason)

    def approval_decision(self, rollback_id: str, nonce: str) -> Decision | None:
        return self._decisions.get((rollback_id, nonce))

    def put_approval_decision(self, rollback_id: str, nonce: str, decision: Decision) -> RecordedDecision:
        earlier = self._decisions.get((rollback_id, nonce))
        if earlier is not None:
            return RecordedDecision(earlier, is_new=earlier == decision)
        self._decisions[rollback_id, nonce] = decision
        return RecordedDecision(decision, is_new=True, token=self._tokens.pop((rollback_id, nonce), None))

    def put_approval_token(self, rollback_id: str, nonce: str, token: bytes, until: datetime) -> bool:
        assert until.tzinfo is not None
        if (rollback_id, nonce) in self._decisions:
            return False
        self._tokens[rollback_id, nonce] = token
        return True
