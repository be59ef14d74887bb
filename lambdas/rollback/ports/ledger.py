"""What the steps need of the ledger: documents, leases, releases, branches, and what people did by hand."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Protocol

from rollback.domain.database.branch_observation import Observation
from rollback.domain.database.reconnection import CausedDeployment
from rollback.domain.database.release_schema import ReleaseSchema
from rollback.domain.database.restore_points import RecordedPoint
from rollback.domain.lease import Lease
from rollback.domain.ledger_index import AnswerEntry, ChangeEntry, ObligationsEntry, PendingEntry
from rollback.domain.operator import OperatorAction, Pause
from rollback.domain.page_count import PageCount
from rollback.domain.releases.release import Release, ReleaseState
from rollback.domain.rollback import Rollback
from rollback.domain.standing_plan import Bake, StandingPlan
from rollback.domain.stored import ReadResult, SkippedItem
from rollback.errors import UnreadableItem


class Documents(Protocol):
    """Rollback documents; see `world.ledger` for the promises."""

    def create(self, rollback: Rollback) -> Rollback: ...
    def read(self, service: str, rollback_id: str) -> Rollback: ...
    def save(self, rollback: Rollback, *, under_lease_until: datetime | None = None) -> Rollback: ...
    def reopen(self, rollback: Rollback) -> Rollback:
        """Save a document that another execution looks at again. Conflict: it was changed since it was read."""
        ...

    def find_by_execution(self, execution: str) -> tuple[str, str] | None:
        """Service and id of the rollback that an execution began or looks at again; None: it made no record."""
        ...

    def history(self, service: str, before: str | None = None) -> Iterator[Rollback]:
        """The `records` that can be read."""
        ...

    def records(self, service: str, before: str | None = None) -> Iterator[Rollback | UnreadableItem]:
        """Newest first, older than the rollback with the id `before`. For people: no decision is made by them."""
        ...


class Index(Protocol):
    """The ledger's index (`model.ledger_index`): each question is one request, whatever the ledger's age."""

    def pending(self, service: str | None = None) -> ReadResult[PendingEntry]:
        """Rollbacks about which something is still to be done, oldest first; None: of all services."""
        ...

    def owed(self, service: str) -> ReadResult[ObligationsEntry]:
        """Changes to this service that rollbacks have not put back, the last rollback first."""
        ...

    def changes(self, service: str, since: datetime) -> ReadResult[ChangeEntry]:
        """Rollbacks that were admitted since then and changed something, or may have; newest first."""
        ...

    def answers(self, service: str, alarm: str, since: datetime) -> ReadResult[AnswerEntry]:
        """Rollbacks that this alarm has asked for since then, newest first."""
        ...

    def clear_unreadable(self, service: str, rollback_id: str) -> None:
        """Forget what is pending and owed of a rollback whose document can't be read; an operator settled it."""
        ...

    def record_unreadable(self, unreadable: UnreadableItem, at: datetime) -> None:
        """Remember that an item can't be read, so that an operator is told of it, once."""
        ...

    def unreadable(self) -> tuple[SkippedItem, ...]:
        """Items that could not be read when they were needed."""
        ...

    def mark_reported(self, unreadable: SkippedItem) -> None:
        """An operator was told of this item."""
        ...

    def build_index(self, services: tuple[str, ...], now: datetime) -> bool:
        """Make the index of a ledger from before it. True: it is complete."""
        ...


class Pages(Protocol):
    """Pages that were sent, so that a flapping alarm makes one page with a count (`model.page_count`)."""

    def page_count(self, service: str, aggregation_key: str) -> PageCount | None: ...
    def put_page_count(self, count: PageCount, read: PageCount | None) -> None:
        """Replace the one that was read; None: there was none. Conflict: it was changed meanwhile."""
        ...

    def page_counts(self) -> tuple[PageCount, ...]:
        """Those that count pages which nobody was told of yet, of all services."""
        ...


class Leases(Protocol):
    """The right to roll back a service; or to change a database branch, by its key (`branch_key`)."""

    def acquire(self, service: str, rollback_id: str, now: datetime, until: datetime) -> Lease | None: ...
    def renew(self, lease: Lease, now: datetime, until: datetime) -> Lease: ...
    def take_over(self, held: Lease, rollback_id: str, until: datetime) -> Lease | None:
        """Take a lease that somebody holds, as it was read; None if it has changed since."""
        ...

    def release_lease(self, service: str, rollback_id: str) -> None: ...
    def lease(self, service: str) -> Lease | None: ...


class Releases(Protocol):
    """What ran, and what the evidence says of it."""

    def record(self, release: Release, definition: dict[str, Any]) -> None: ...
    def definition(self, sha256: str) -> dict[str, Any]: ...
    def release(self, service: str, fingerprint: str) -> Release | None: ...
    def find(self, service: str, name: str) -> tuple[Release, ...]:
        """Releases that a name may mean, newest first; see `release_names`."""
        ...

    def promoted(self, service: str) -> Iterator[Release]:
        """Newest first."""
        ...

    def releases(self, service: str, *, since: datetime | None = None) -> Iterator[Release]:
        """Those that were first deployed since then, newest first; None: all, for people."""
        ...

    def set_release_state(self, release: Release, state: ReleaseState, at: datetime, reason: str) -> Release: ...
    def bake(self, service: str) -> Bake | None: ...
    def put_bake(self, bake: Bake) -> None: ...
    def standing_plan(self, service: str) -> StandingPlan | None: ...
    def put_standing_plan(self, plan: StandingPlan) -> None:
        """Unless a newer one was put already."""
        ...

    def replace_standing_plan(self, read: StandingPlan, amended: StandingPlan) -> None:
        """Replace the one that was read, computed anew or not. Conflict: another was put meanwhile."""
        ...


class Branches(Protocol):
    """What is kept of a database branch; `branch` is its key (`database_settings.branch_key`)."""

    def put_schema(self, schema: ReleaseSchema) -> None:
        """Store it under its SHA-256, once."""
        ...

    def schema(self, sha256: str) -> ReleaseSchema:
        """KeyError: none is stored under this digest."""
        ...

    def set_release_schema(self, release: Release, schema_sha256: str) -> Release:
        """The release with the key of its schema. Conflict: it was changed since it was read."""
        ...

    def put_restore_point(self, point: RecordedPoint) -> None:
        """Of the same moment, service and version the first stays."""
        ...

    def restore_points(self, branch: str, *, since: datetime | None = None) -> Iterator[RecordedPoint]:
        """Those that were recorded since then, newest first; None: all."""
        ...

    def observation(self, branch: str) -> Observation | None: ...
    def put_observation(self, observation: Observation) -> None:
        """Unless a newer one was put already."""
        ...


class Operators(Protocol):
    """What people decided and did by hand."""

    def pause(self, service: str) -> Pause | None: ...
    def put_pause(self, pause: Pause) -> None: ...
    def end_pause(self, service: str) -> None: ...
    def record_action(self, action: OperatorAction) -> None: ...
    def actions(self, service: str) -> Iterator[OperatorAction]: ...


class CausedDeployments(Protocol):
    """Deployments of a service's own release that a rollback asked for: the last one of each service."""

    def caused_deployment(self, service: str) -> CausedDeployment | None: ...
    def put_caused_deployment(self, caused: CausedDeployment) -> None:
        """Unless a newer one was put already."""
        ...


class Ledger(Documents, Index, Pages, Leases, Releases, Branches, Operators, CausedDeployments, Protocol):
    """The whole table."""
