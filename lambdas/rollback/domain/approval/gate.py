"""The approval of one rollback: the gate at which it waits, the facts that are approved, and the decision."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from rollback.text import StoredText


class DecisionKind(StrEnum):
    """Ends of a gate."""

    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"  # no person decided in time
    SUPERSEDED = "superseded"  # another rollback of the service began meanwhile


PERSONAL_KINDS = frozenset({DecisionKind.APPROVED, DecisionKind.REJECTED})


class Decision(BaseModel):
    """The end of a gate. A ledger item of its own stores a decision; the first decision counts.

    Attributes:
        by: ARN of the person, or `unverified: …`; of a superseded gate the id of the other rollback; else empty.
        is_verified: AWS STS confirmed the person's identity.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")  # a newer version may have written it

    kind: DecisionKind
    by: str = ""
    is_verified: bool = False
    reason: StoredText = ""
    at: AwareDatetime

    @property
    def in_words(self) -> str:
        """Kind, person, time and reason, for a report or an error."""
        when = f"{self.at:%Y-%m-%d %H:%M:%S} UTC"
        match self.kind:
            case DecisionKind.EXPIRED:
                return f"expired at {when}: {self.reason}"
            case DecisionKind.SUPERSEDED:
                return f"superseded at {when} by {self.by}"
            case DecisionKind.APPROVED | DecisionKind.REJECTED:
                return f"{self.kind} at {when} by {self.by}: {self.reason}"


@dataclass(frozen=True)
class RecordedDecision:
    """The decision that the ledger has for a gate.

    Attributes:
        decision: the decision that counts.
        is_new: this call stored the decision; False: an earlier decision counts.
        token: encrypted token of the execution that waited, which the ledger no longer has; None: none was stored, or
            the decision is not new.
    """

    decision: Decision
    is_new: bool
    token: bytes | None = None


class ApprovedFacts(BaseModel):
    """Facts of a plan that a person approves. A plan with other facts needs another approval.

    Attributes:
        running: fingerprint of the release to replace, with its version in `running_version`.
        target: fingerprint of the target.
        strategy: how the database is rolled back; None: it stays as it is.
        restore_point: LSN and time; None: the strategy restores to no point.
        source: source branch of a reset or recreate, or the rollback that is undone.
        schema_verdict: `compatible`, `breaking`, `unknown`; None: the plan did not ask.
        overridden: names of the checks that `--force` overrides.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")  # a newer version may have written it

    type: str
    running: str
    running_version: str = ""
    target: str | None = None
    target_version: str = ""
    strategy: str | None = None
    branch: str | None = None
    restore_point: str | None = None
    source: str | None = None
    migrations: tuple[str, ...] = ()
    schema_verdict: str | None = None
    overridden: tuple[str, ...] = ()


class Approval(BaseModel):
    """The gate at which a rollback waits, without any lease.

    Attributes:
        nonce: random name of this gate; a later evaluation of the same rollback opens another gate. It is no secret.
        announced_at: when the request for a decision was sent; None: not yet, or it can't be sent.
        announcement_error: why the request could not be sent; empty: it was sent, or is not yet due.
        lease_returned_at: when the rollback gave its leases back.
        decision: how the gate ended, copied from the ledger's item.
        lease_awaited_since: when the approved rollback first found the lease held by another that changes nothing yet.
        replanned_at: when the plan was made again after the approval, with the approved facts.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")  # a newer version may have written it

    requested_at: AwareDatetime
    expires_at: AwareDatetime
    reasons: tuple[str, ...]
    nonce: str
    approved_facts: ApprovedFacts
    announced_at: AwareDatetime | None = None
    announcement_error: StoredText = ""
    lease_returned_at: AwareDatetime | None = None
    decision: Decision | None = None
    lease_awaited_since: AwareDatetime | None = None
    replanned_at: AwareDatetime | None = None
    carried_from: str | None = Field(
        default=None, description="rollback whose approval counts for this one, which continues it with the same facts"
    )

    @property
    def is_open(self) -> bool:
        """Whether no decision is recorded in the document yet."""
        return self.decision is None

    @property
    def is_approved(self) -> bool:
        """Whether a person approved."""
        return self.decision is not None and self.decision.kind is DecisionKind.APPROVED

    @property
    def is_replan_due(self) -> bool:
        """Whether the plan is to be made again, after the approval."""
        return self.is_approved and self.replanned_at is None

    def is_expired(self, now: datetime) -> bool:
        """Whether the time for a decision is over."""
        return now >= self.expires_at
