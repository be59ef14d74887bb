"""Ports to the ledger: documents, index, page counts, leases, releases, branches and operators' actions."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Protocol

from rollback.domain.approval.gate import Decision, RecordedDecision
from rollback.domain.database.branch_observation import Observation
from rollback.domain.database.reconnection import CausedDeployment
from rollback.domain.database.release_schema import ReleaseSchema
from rollback.domain.database.restore_points import RecordedPoint
from rollback.domain.delivery.delivery import Channel, Delivery
from rollback.domain.drills.completed_drill import CompletedDrill
from rollback.domain.lease import Lease
from rollback.domain.ledger.index import ChangeEntry, ObligationsEntry, PendingEntry, TriggerResultEntry
from rollback.domain.ledger.page_count import PageCount
from rollback.domain.operator import OperatorAction, Pause
from rollback.domain.release_watch.watch import Baseline
from rollback.domain.releases.log_baseline import LogBaseline
from rollback.domain.releases.release import Release, ReleaseState
from rollback.domain.rollback import Rollback
from rollback.domain.standing_plan import Bake, StandingPlan
from rollback.domain.stored import ReadResult, SkippedItem
from rollback.effects import changes_state, reads
from rollback.errors import UnreadableItem
from rollback.resources.database.probe import DatabaseProbe


class Documents(Protocol):
    """Rollback documents."""

    @changes_state
    def create(self, rollback: Rollback) -> Rollback:
        """Store a new document and mark its event as taken; a retry returns the stored document.

        Raises:
            Conflict: another rollback has already taken the same event.
        """
        ...

    @reads
    def read(self, service: str, rollback_id: str) -> Rollback:
        """Return the document as it stands (consistent read).

        Raises:
            KeyError: no document has this id.
            UnreadableItem: the document can't be read.
        """
        ...

    @changes_state
    def save(self, rollback: Rollback, *, under_lease_until: datetime | None = None) -> Rollback:
        """Replace the document by compare-and-set on the version that was read.

        Args:
            rollback: the changed document, with the version that was read.
            under_lease_until: also require that the rollback's lease holds at least until then. Rule 9: the intent is
                written before the change, by a holder whose lease outlasts the call.

        Raises:
            Conflict: the document was changed since it was read.
            LeaseLost: another rollback holds the lease, or the lease ends too early.
        """
        ...

    @changes_state
    def reopen(self, rollback: Rollback) -> Rollback:
        """Save a document that another execution continues, and remember that execution.

        Raises:
            Conflict: the document was changed since it was read.
        """
        ...

    @reads
    def find_by_execution(self, execution: str) -> tuple[str, str] | None:
        """Return service and id of the rollback that an execution began or continues.

        None means that the execution made no document.
        """
        ...

    @reads
    def history(self, service: str) -> Iterator[Rollback]:
        """Iterate over the `records` that can be read."""
        ...

    @reads
    def records(self, service: str, before: str | None = None) -> Iterator[Rollback | UnreadableItem]:
        """Iterate over the service's documents, newest first. Operators read them; no decision depends on them.

        Args:
            service: name of the service.
            before: only documents older than the rollback with this id.
        """
        ...


class Index(Protocol):
    """The ledger's index (`domain.ledger.index`): each question is one request, whatever the ledger's age."""

    @reads
    def pending(self, service: str | None = None) -> ReadResult[PendingEntry]:
        """List the rollbacks with work left to do, oldest first; None asks for all services."""
        ...

    @reads
    def obligations(self, service: str) -> ReadResult[ObligationsEntry]:
        """List the changes to this service that rollbacks have not put back, the last rollback first."""
        ...

    @reads
    def changes(self, service: str, since: datetime) -> ReadResult[ChangeEntry]:
        """List the rollbacks admitted since then that changed something, or may have; newest first."""
        ...

    @reads
    def trigger_results(self, service: str, alarm: str, since: datetime) -> ReadResult[TriggerResultEntry]:
        """List the rollbacks that this alarm has triggered since then, newest first."""
        ...

    @reads
    def last_drill(self, service: str) -> CompletedDrill | None:
        """Return the service's newest successful drill; None: no drill succeeded, or its item can't be read."""
        ...

    @changes_state
    def clear_unreadable(self, service: str, rollback_id: str) -> None:
        """Forget the pending work and the obligations of an unreadable document that an operator has settled."""
        ...

    @changes_state
    def record_unreadable(self, unreadable: UnreadableItem, at: datetime) -> None:
        """Record that an item can't be read, so that an operator is paged once."""
        ...

    @reads
    def unreadable(self) -> tuple[SkippedItem, ...]:
        """List the items that could not be read when they were needed."""
        ...

    @changes_state
    def mark_reported(self, unreadable: SkippedItem) -> None:
        """Record that an operator was paged about this item."""
        ...

    @changes_state
    def build_index(self, services: tuple[str, ...], now: datetime) -> bool:
        """Build the index of a ledger that is older than the index, some more at each call; True: it is complete."""
        ...


class Pages(Protocol):
    """Counts of sent pages, so that a flapping alarm makes one page with a count (`domain.ledger.page_count`)."""

    @reads
    def page_count(self, service: str, aggregation_key: str) -> PageCount | None:
        """Return the count of pages about one cause; None: no page was sent, or the count can't be read."""
        ...

    @changes_state
    def put_page_count(self, count: PageCount, previous_count: PageCount | None) -> None:
        """Replace the count that was read; None means that there was no count.

        Raises:
            Conflict: the count was changed since it was read.
        """
        ...

    @reads
    def page_counts(self) -> tuple[PageCount, ...]:
        """List the page counts of all services that have unsent pages."""
        ...


class Leases(Protocol):
    """Leases: the right to roll back a service, or to change a database branch by its key (`branch_key`)."""

    @changes_state
    def acquire(self, service: str, rollback_id: str, now: datetime, until: datetime) -> Lease | None:
        """Take the lease if it is free, expired, unreadable or already this rollback's; None if another holds it."""
        ...

    @changes_state
    def renew(self, lease: Lease, now: datetime, until: datetime) -> Lease:
        """Extend a lease.

        Raises:
            LeaseLost: the lease ran out, or another rollback holds it.
        """
        ...

    @changes_state
    def take_over(self, lease: Lease, rollback_id: str, until: datetime) -> Lease | None:
        """Take a lease that another rollback holds, as it was read; None if it has changed hands since.

        The counter grows, so that every later write under the former holder's counter is refused.
        """
        ...

    @changes_state
    def release_lease(self, service: str, rollback_id: str) -> None:
        """Give the lease back; a lease that this rollback does not hold stays as it is."""
        ...

    @reads
    def lease(self, service: str) -> Lease | None:
        """Return the lease, expired or not, or None without a holder.

        Raises:
            UnreadableItem: the lease can't be read.
        """
        ...

    @reads
    def lease_counter(self, service: str) -> int:
        """Return how often the lease was taken, whether or not a rollback holds the lease now; 0: never.

        Raises:
            UnreadableItem: the counter can't be read.
        """
        ...


class Releases(Protocol):
    """Releases of a service, their definitions, and the standing plan."""

    @changes_state
    def record(self, release: Release, definition: dict[str, Any]) -> None:
        """Store a release and its normalised task definition; what is already stored stays as it is."""
        ...

    @reads
    def definition(self, sha256: str) -> dict[str, Any]:
        """Return a stored, normalised task definition.

        Raises:
            KeyError: no definition has this digest.
            UnreadableItem: the stored definition is damaged.
        """
        ...

    @reads
    def release(self, service: str, fingerprint: str) -> Release | None:
        """Return the release with this fingerprint by its key; None: the ledger has none that it can read."""
        ...

    @reads
    def find(self, service: str, name: str) -> tuple[Release, ...]:
        """List the releases that a name may mean, newest first (`domain.releases.release_names`).

        A name is a version, or the beginning of a fingerprint, commit or image digest.
        """
        ...

    @reads
    def promoted(self, service: str) -> Iterator[Release]:
        """Iterate over the promoted releases, newest first."""
        ...

    @reads
    def releases(self, service: str, *, since: datetime | None = None) -> Iterator[Release]:
        """Iterate over the readable releases that were first deployed since then, newest first.

        Args:
            service: name of the service.
            since: None asks for all releases; only operators do.
        """
        ...

    @changes_state
    def set_log_baseline(self, release: Release, baseline: LogBaseline) -> Release:
        """Record the error lines of a release while it baked; only the state is compared.

        Raises:
            Conflict: the release has another state now.
        """
        ...

    @changes_state
    def set_release_state(self, release: Release, state: ReleaseState, at: datetime, reason: str) -> Release:
        """Move a release to another state; its other fields stay as the ledger has them now.

        Raises:
            Conflict: the state was changed since the release was read.
        """
        ...

    @changes_state
    def promote_release(self, release: Release, at: datetime, reason: str, lease_counter: int) -> Release:
        """Move a release to the state promoted, unless a rollback took the service's lease since the counter was read.

        Raises:
            LeaseTaken: the lease's counter is another now (`Leases.lease_counter`).
            Conflict: the state was changed since the release was read.
        """
        ...

    @reads
    def bake(self, service: str) -> Bake | None:
        """Return the bake that was begun last; None: there is none, or it can't be read."""
        ...

    @changes_state
    def put_bake(self, bake: Bake) -> None:
        """Begin a bake, or begin it again; the last call counts."""
        ...

    @reads
    def watch_baseline(self, service: str) -> Baseline | None:
        """Return what a fresh release is compared with; None: there is nothing, or it can't be read."""
        ...

    @changes_state
    def put_watch_baseline(self, service: str, baseline: Baseline) -> None:
        """Replace what the next release is compared with; the last call counts."""
        ...

    @reads
    def standing_plan(self, service: str) -> StandingPlan | None:
        """Return the standing plan, or None if none was put.

        Raises:
            UnreadableItem: the plan can't be read; the next `put_standing_plan` replaces it.
        """
        ...

    @changes_state
    def put_standing_plan(self, plan: StandingPlan) -> None:
        """Replace the standing plan, unless a newer plan was put already."""
        ...

    @changes_state
    def replace_standing_plan(self, known_plan: StandingPlan, amended_plan: StandingPlan) -> None:
        """Replace the standing plan that was read, and no other.

        Raises:
            Conflict: another plan was put since.
        """
        ...


class Branches(Protocol):
    """Database branches; `branch` is a branch's key (`domain.settings.database.branch_key`)."""

    @changes_state
    def put_schema(self, schema: ReleaseSchema) -> None:
        """Store a schema under its SHA-256, once.

        Raises:
            ExternalServiceError: the schema is too large for an item, even compressed.
        """
        ...

    @reads
    def schema(self, sha256: str) -> ReleaseSchema:
        """Return a stored schema.

        Raises:
            KeyError: no readable schema is stored under this digest.
        """
        ...

    @changes_state
    def set_release_schema(self, release: Release, schema_sha256: str) -> Release:
        """Store the key of a release's schema with the release.

        Raises:
            Conflict: the release was changed since it was read.
        """
        ...

    @changes_state
    def put_restore_point(self, point: RecordedPoint) -> None:
        """Store a restore point; of several with the same moment, service and version the first stays.

        Raises:
            ExternalServiceError: the point with its migrations is too large for an item, even compressed.
        """
        ...

    @reads
    def restore_points(self, branch: str, *, since: datetime | None = None) -> Iterator[RecordedPoint]:
        """Iterate over the readable restore points recorded since then, newest first; None asks for all."""
        ...

    @reads
    def observation(self, branch: str) -> Observation | None:
        """Return the last observation of the branch; None: there is none, or it can't be read."""
        ...

    @changes_state
    def put_observation(self, observation: Observation) -> None:
        """Replace the last observation, unless a newer one was put already."""
        ...

    @reads
    def database_probe(self, branch: str) -> DatabaseProbe | None:
        """Return the last measurement of the branch; None: there is none, or it can't be read."""
        ...

    @changes_state
    def put_database_probe(self, probe: DatabaseProbe) -> None:
        """Replace the last measurement, unless a newer one was put already."""
        ...


class Operators(Protocol):
    """Pauses and other actions of operators."""

    @reads
    def pause(self, service: str) -> Pause | None:
        """Return the pause of a service's automatic rollbacks; an unreadable pause still counts as a pause."""
        ...

    @changes_state
    def put_pause(self, pause: Pause) -> None:
        """Begin a pause; a pause that already holds keeps its beginning and its reason."""
        ...

    @changes_state
    def end_pause(self, service: str) -> None:
        """Allow the service's automatic rollbacks again."""
        ...

    @changes_state
    def record_action(self, action: OperatorAction) -> None:
        """Store an operator's action, with its author and reason, once: the first of a service, time and verb stays."""
        ...

    @reads
    def actions(self, service: str) -> Iterator[OperatorAction]:
        """Iterate over the readable actions, newest first."""
        ...


class CausedDeployments(Protocol):
    """Deployments of a service's own release that a rollback asked for: the last one of each service."""

    @reads
    def caused_deployment(self, service: str) -> CausedDeployment | None:
        """Return the last caused deployment; None: there is none, or it can't be read."""
        ...

    @changes_state
    def put_caused_deployment(self, caused: CausedDeployment) -> None:
        """Replace the last caused deployment, unless a newer one was put already."""
        ...


class Approvals(Protocol):
    """Decisions about waiting rollbacks, and the tokens of their executions; a gate is named by its nonce."""

    @reads
    def approval_decision(self, rollback_id: str, nonce: str) -> Decision | None:
        """Return the decision about a gate; None: there is none.

        Raises:
            UnreadableItem: the decision can't be read.
        """
        ...

    @changes_state
    def put_approval_decision(self, rollback_id: str, nonce: str, decision: Decision) -> RecordedDecision:
        """Store the decision unless the gate has one, and delete the token in the same transaction.

        Raises:
            Conflict: the token kept changing; call again.
            UnreadableItem: the gate has a decision that can't be read.
        """
        ...

    @changes_state
    def put_approval_token(self, rollback_id: str, nonce: str, token: bytes, until: datetime) -> bool:
        """Store the encrypted token of the waiting execution, in place of an earlier one, unless the gate is decided.

        Args:
            rollback_id: the waiting rollback.
            nonce: name of its gate.
            token: the encrypted token.
            until: when the token is of no more use.

        Returns:
            False: the gate is decided, and nothing was stored.
        """
        ...


class Deliveries(Protocol):
    """Deliveries of rollbacks to channels beside the SNS topics (`domain.delivery`)."""

    @reads
    def delivery(self, rollback_id: str, channel: Channel) -> Delivery | None:
        """Return the delivery of a rollback to a channel; None: nothing was wanted yet.

        Raises:
            UnreadableItem: the item can't be read.
        """
        ...

    @changes_state
    def put_delivery(self, delivery: Delivery, previous: Delivery | None) -> None:
        """Replace the delivery that was read, together with its entry in the list of due deliveries.

        Args:
            delivery: the changed delivery, with the version that was read. One more is stored.
            previous: the delivery that was read; None: there was none.

        Raises:
            Conflict: the delivery was changed since it was read.
        """
        ...

    @reads
    def due_deliveries(self) -> Iterator[Delivery]:
        """Iterate over the readable due deliveries of all rollbacks, those first that became due last."""
        ...


class Ledger(
    Documents, Index, Pages, Leases, Releases, Branches, Operators, CausedDeployments, Approvals, Deliveries, Protocol
):
    """The whole ledger table. A list that is asked for page by page requests each page when it is needed."""
