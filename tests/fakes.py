"""Fakes that keep real state, one per port; the contract tests hold each to the promises of its real adapter."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from rollback.model.errors import Conflict, LeaseLost
from rollback.model.lease import Lease
from rollback.model.release import Release, ReleaseState, sha256_of
from rollback.model.rollback import Rollback


class FakeClock:
    """Stands still until it is moved."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now

    def pass_time(self, **duration: float) -> None:
        self._now += timedelta(**duration)


class FakeAlarms:
    """Names of the alarms that are in ALARM."""

    def __init__(self, *in_alarm: str) -> None:
        self.in_alarm = set(in_alarm)

    def is_in_alarm(self, name: str) -> bool:
        return name in self.in_alarm


class FakeLedger:
    """The ledger in dictionaries, with the same conditions as the table."""

    def __init__(self) -> None:
        self._documents: dict[str, Rollback] = {}
        self._events: dict[str, str] = {}
        self._leases: dict[str, Lease] = {}
        self._counters: dict[str, int] = {}
        self._releases: dict[tuple[str, str], Release] = {}
        self._definitions: dict[str, dict[str, Any]] = {}

    def create(self, rollback: Rollback) -> Rollback:
        if rollback.id in self._documents:
            return self._documents[rollback.id]
        if rollback.event is not None:
            if rollback.event.id in self._events:
                raise Conflict(f"event {rollback.event.id} was taken by another rollback already")
            self._events[rollback.event.id] = rollback.id
        self._documents[rollback.id] = rollback
        return rollback

    def read(self, service: str, rollback_id: str) -> Rollback:
        return self._documents[rollback_id]

    def save(self, rollback: Rollback, *, under_lease_until: datetime | None = None) -> Rollback:
        if under_lease_until is not None:
            lease = self._leases.get(rollback.service_name)
            ours = lease is not None and (lease.holder, lease.counter) == (rollback.id, rollback.lease_counter)
            if lease is None or not ours or lease.expires_at <= under_lease_until:
                raise LeaseLost(f"{rollback.id} no longer holds the lease on {rollback.service_name}")
        if self._documents[rollback.id].version != rollback.version:
            raise Conflict(f"{rollback.id} is no longer at version {rollback.version}: read it again")
        saved = rollback.but(version=rollback.version + 1)
        self._documents[rollback.id] = saved
        return saved

    def history(self, service: str) -> Iterator[Rollback]:
        mine = [r for r in self._documents.values() if r.service_name == service]
        yield from sorted(mine, key=lambda r: r.id, reverse=True)

    def acquire(self, service: str, rollback_id: str, now: datetime, until: datetime) -> Lease | None:
        held = self._leases.get(service)
        if held is not None and held.expires_at > now:
            return held if held.holder == rollback_id else None
        counter = self._counters[service] = self._counters.get(service, 0) + 1
        lease = Lease(service=service, holder=rollback_id, counter=counter, expires_at=until)
        self._leases[service] = lease
        return lease

    def renew(self, lease: Lease, now: datetime, until: datetime) -> Lease:
        held = self._leases.get(lease.service)
        same = held is not None and (held.holder, held.counter) == (lease.holder, lease.counter)
        if held is None or not same or held.expires_at <= now:
            raise LeaseLost(f"{lease.holder} no longer holds the lease on {lease.service}")
        renewed = lease.model_copy(update={"expires_at": until})
        self._leases[lease.service] = renewed
        return renewed

    def release_lease(self, service: str, rollback_id: str) -> None:
        held = self._leases.get(service)
        if held is not None and held.holder == rollback_id:
            del self._leases[service]

    def lease(self, service: str) -> Lease | None:
        return self._leases.get(service)

    def record(self, release: Release, definition: dict[str, Any]) -> None:
        if sha256_of(definition) != release.definition_sha256:
            raise ValueError(f"the definition of {release.version} is not the one that the release names")
        self._definitions.setdefault(release.definition_sha256, definition)
        self._releases.setdefault((release.service, release.fingerprint), release)

    def definition(self, sha256: str) -> dict[str, Any]:
        return self._definitions[sha256]

    def releases(self, service: str) -> tuple[Release, ...]:
        mine = [r for (of, _), r in self._releases.items() if of == service]
        return tuple(sorted(mine, key=lambda r: (r.first_deployed_at, r.fingerprint), reverse=True))

    def judge(self, release: Release, state: ReleaseState, at: datetime, reason: str) -> Release:
        key = (release.service, release.fingerprint)
        if self._releases[key].state is not release.state:
            raise Conflict(f"release {release.version} is no longer {release.state}: read it again")
        changes = {"state": state, "state_since": at, "state_reason": reason}
        self._releases[key] = release.model_copy(update=changes)
        return self._releases[key]
