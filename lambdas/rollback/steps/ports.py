"""What the steps need of the world; adapters and the tests' fakes have these shapes."""

from collections.abc import Iterator
from datetime import datetime
from typing import Protocol

from rollback.model.lease import Lease
from rollback.model.rollback import Rollback


class Clock(Protocol):
    """Aware UTC."""

    def now(self) -> datetime: ...


class Documents(Protocol):
    """Rollback documents; see `world.ledger` for the promises."""

    def create(self, rollback: Rollback) -> Rollback: ...
    def read(self, service: str, rollback_id: str) -> Rollback: ...
    def save(self, rollback: Rollback, *, under_lease_until: datetime | None = None) -> Rollback: ...
    def history(self, service: str) -> Iterator[Rollback]: ...


class Leases(Protocol):
    """The right to roll back a service."""

    def acquire(self, service: str, rollback_id: str, now: datetime, until: datetime) -> Lease | None: ...
    def lease(self, service: str) -> Lease | None: ...


class AlarmStates(Protocol):
    """Alarms as they stand now."""

    def is_in_alarm(self, name: str) -> bool: ...
