"""Delivery of one rollback to one channel: what the channel should show, what it shows, and the attempts in between.

The item is the ledger's own, beside the rollback's document: a delivery runs beside the workflow, and must not conflict
with the document's compare-and-set.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from rollback.text import ERROR_LIMIT, StoredText, service_message

CLAIM = timedelta(seconds=90)  # longer than the function that holds the claim runs
FIRST_RETRY, LONGEST_RETRY = timedelta(minutes=1), timedelta(hours=1)
GIVE_UP_AFTER_REFUSALS = timedelta(days=1)
GIVE_UP_AFTER_FAILURES = timedelta(days=7)
_MAX_DOUBLINGS = 10


class Channel(StrEnum):
    """Receivers of a rollback's state, beside the SNS topics."""

    EVENTS = "events"  # `rollback.*` events on the default bus of EventBridge
    STORED_REPORT = "stored_report"
    COMMIT_STATUS = "commit_status"
    DEPLOYMENT_STATUS = "deployment_status"
    ISSUE = "issue"
    CHAT = "chat"  # an incoming webhook
    CHATBOT = "chatbot"  # Amazon Q Developer in chat applications, by a topic of its own


class Delivery(BaseModel):
    """Delivery of one rollback to one channel. `version` counts the saves: each save is a compare-and-set.

    The delivery is due while the wanted key is neither delivered nor given up.

    Attributes:
        wanted_key: key of the state that the channel should show; None: nothing is wanted yet.
        wanted_version: version of the rollback's document that the wanted key was computed from.
        delivered_key: key of the state that the channel shows, as far as is recorded.
        reference: what the last successful `send` returned: an issue's number, an object's key.
        due_since: since when something is wanted that was not delivered.
        attempts: begun attempts to send the wanted key. Above 0: an earlier attempt may have arrived.
        attempted_at: when the last attempt to send any key began.
        first_failed_at: when an attempt to send the wanted key failed first.
        last_error: error of the last attempt, in one line.
        is_refused: whether the receiver refused the last attempt for good.
        given_up_key: the key that is not sent any more.
        claimed_until: another process sends until then, unless it died.
        expires_at: when DynamoDB may delete the item.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    rollback_id: str
    channel: Channel
    version: int = 0
    wanted_key: str | None = None
    wanted_version: int = 0
    delivered_key: str | None = None
    delivered_at: AwareDatetime | None = None
    reference: StoredText = ""
    due_since: AwareDatetime | None = None
    attempts: int = Field(default=0, ge=0)
    attempted_at: AwareDatetime | None = None
    first_failed_at: AwareDatetime | None = None
    last_error: StoredText = ""
    is_refused: bool = False
    next_attempt_at: AwareDatetime | None = None
    given_up_key: str | None = None
    claimed_until: AwareDatetime | None = None
    expires_at: AwareDatetime | None = None

    @property
    def is_due(self) -> bool:
        """Whether something is wanted that was neither delivered nor given up."""
        return self.wanted_key is not None and self.wanted_key not in (self.delivered_key, self.given_up_key)

    def is_claimed(self, now: datetime) -> bool:
        """Whether another process may be sending at this moment."""
        return self.claimed_until is not None and self.claimed_until > now

    def may_be_sent(self, now: datetime) -> bool:
        """Whether an attempt may begin now."""
        is_waiting = self.next_attempt_at is not None and self.next_attempt_at > now
        return self.is_due and not is_waiting and not self.is_claimed(now)

    def want(self, key: str, rollback_version: int, now: datetime) -> "Delivery":
        """A copy that wants another key; unchanged if the key is wanted already, or if a newer document wanted one."""
        if rollback_version < self.wanted_version or key == self.wanted_key:
            return self
        is_delivered = key == self.delivered_key
        return self._with(
            wanted_key=key,
            wanted_version=rollback_version,
            due_since=None if is_delivered else self.due_since or now,
            attempts=0,
            first_failed_at=None,
            last_error="",
            is_refused=False,
            next_attempt_at=None,
            given_up_key=None,
        )

    def claim(self, now: datetime) -> "Delivery":
        """A copy for the process that begins an attempt now."""
        return self._with(claimed_until=now + CLAIM, attempts=self.attempts + 1, attempted_at=now)

    def mark_delivered(self, key: str, reference: str, now: datetime) -> "Delivery":
        """A copy after a key was delivered; the delivery stays due if another key is wanted by now."""
        delivered = self._with(delivered_key=key, delivered_at=now, reference=reference, claimed_until=None)
        if delivered.is_due:
            return delivered
        return delivered._with(
            due_since=None, attempts=0, first_failed_at=None, last_error="", is_refused=False, next_attempt_at=None
        )

    def mark_failed(
        self, key: str, error: str, now: datetime, *, is_refused: bool, wait_seconds: float = 0.0
    ) -> "Delivery":
        """A copy after a failed attempt, with the time of the next attempt.

        A refused attempt is repeated hourly, any other after a delay that doubles from a minute to an hour. A receiver
        that throttles may ask for a longer wait (`wait_seconds`), of an hour at most.
        """
        if key != self.wanted_key:  # another key is wanted by now: its attempts are counted anew
            return self._with(claimed_until=None)
        delay = FIRST_RETRY * 2 ** min(max(self.attempts - 1, 0), _MAX_DOUBLINGS)
        delay = max(delay, timedelta(seconds=min(wait_seconds, LONGEST_RETRY.total_seconds())))
        return self._with(
            claimed_until=None,
            first_failed_at=self.first_failed_at or now,
            last_error=service_message(error, ERROR_LIMIT),
            is_refused=is_refused,
            next_attempt_at=now + (LONGEST_RETRY if is_refused else min(delay, LONGEST_RETRY)),
        )

    def is_hopeless(self, now: datetime) -> bool:
        """Whether the attempts have failed for so long that the delivery is given up."""
        limit = GIVE_UP_AFTER_REFUSALS if self.is_refused else GIVE_UP_AFTER_FAILURES
        return self.is_due and self.first_failed_at is not None and now - self.first_failed_at >= limit

    def give_up(self) -> "Delivery":
        """A copy that is not sent any more, unless another key is wanted."""
        return self._with(given_up_key=self.wanted_key, due_since=None, next_attempt_at=None, claimed_until=None)

    def _with(self, **changes: Any) -> "Delivery":
        return Delivery.model_validate({**dict(self), **changes})
