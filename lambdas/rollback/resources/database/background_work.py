"""Replication and scheduled jobs of a database, which no ECS task runs, and the effect of a restore on them.

Neon deletes every replication slot of a branch that it restores
(https://neon.com/docs/guides/logical-replication-neon, "Branch restore removes replication slots"). Subscriptions are
dropped on a branch that is created from another branch (https://github.com/neondatabase/postgres/pull/594). The apply
workers of subscriptions and the jobs of pg_cron (https://neon.com/docs/extensions/pg_cron) run inside the compute. No
fence around ECS stops them.
"""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from rollback.check import Check, Verdict
from rollback.resources.database.postgres import ClientSession

_MAX_NAMED = 10
_FORCE = "or start it with --force"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class ReplicationSlot(_Frozen):
    """Logical replication slot that outlives its session, without Neon's own physical slot `wal_proposer_slot`."""

    name: str
    database: str
    plugin: str = ""
    active: bool = False

    def __str__(self) -> str:
        return f"{self.name} ({self.plugin or 'no plugin'}, database {self.database})"


class Subscription(_Frozen):
    """Subscription that applies changes of another database."""

    name: str
    database: str
    enabled: bool = True

    def __str__(self) -> str:
        return f"{self.name} (database {self.database}{'' if self.enabled else ', disabled'})"


class ScheduledJob(_Frozen):
    """Job of pg_cron, without its command, which may hold a password."""

    number: int
    name: str = ""
    schedule: str
    database: str
    role: str
    active: bool = True

    def __str__(self) -> str:
        return f"{self.number} {self.name or 'unnamed'} ({self.schedule}, as {self.role}, database {self.database})"


class BackgroundWork(_Frozen):
    """Replication and scheduled jobs of a whole branch.

    Attributes:
        unreadable_parts: parts that the role could not read, each with the reason. Such a part never counts as empty.
    """

    slots: tuple[ReplicationSlot, ...] = ()
    subscriptions: tuple[Subscription, ...] = ()
    jobs: tuple[ScheduledJob, ...] = ()
    unreadable_parts: tuple[str, ...] = ()

    @property
    def replication_at_risk(self) -> tuple[str, ...]:
        """Slots and subscriptions that a restore deletes, in words."""
        slots = (f"replication slot {slot}" for slot in self.slots)
        return (*slots, *(f"subscription {subscription}" for subscription in self.subscriptions))


def judge_background_work(
    work: BackgroundWork, workers: Sequence[ClientSession], *, replaces_data: bool
) -> tuple[Check, ...]:
    """Check before the fence what a restore would delete and what would keep writing behind the fence.

    An operator may force the checks that fail.

    Args:
        work: replication and scheduled jobs of the branch.
        workers: sessions of background workers.
        replaces_data: the branch gets other data; False means a change in place, which keeps the slots.
    """
    return (
        *((_slots(work),) if replaces_data else ()),
        _subscriptions(work, replaces_data=replaces_data),
        _jobs(work),
        _workers(workers),
        _seen(work),
    )


def _check(name: str, objection: str | None, otherwise: str, *, at_risk: Sequence[str] = ()) -> Check:
    verdict = Verdict.PASS if objection is None else Verdict.FAIL
    return Check(
        name=name,
        verdict=verdict,
        reason=objection or otherwise,
        is_forceable=objection is not None,
        evidence={"replication_at_risk": list(at_risk)} if at_risk else {},
    )


def _slots(work: BackgroundWork) -> Check:
    objection = None
    if work.slots:
        objection = (
            f"Neon deletes replication slots when it restores a branch: {_named(work.slots)}. Each slot's consumer "
            f"loses its position and has to be set up again, from a fresh copy. Drop the slots first, {_FORCE}"
        )
    slots_at_risk = [f"replication slot {slot}" for slot in work.slots]
    return _check("no-replication-slots", objection, "there is no logical replication slot", at_risk=slots_at_risk)


def _subscriptions(work: BackgroundWork, *, replaces_data: bool) -> Check:
    blocking = [subscription for subscription in work.subscriptions if subscription.enabled or replaces_data]
    objection = None
    if blocking:
        consequence = "; a restore drops subscriptions: each has to be created again" if replaces_data else ""
        objection = (
            f"subscriptions write to the branch whether or not a service runs: {_named(blocking)}{consequence}; "
            f"ALTER SUBSCRIPTION … DISABLE or drop them first, {_FORCE}"
        )
    subscriptions_at_risk = (
        [f"subscription {subscription}" for subscription in work.subscriptions] if replaces_data else []
    )
    return _check("no-subscriptions", objection, "there is no subscription", at_risk=subscriptions_at_risk)


def _jobs(work: BackgroundWork) -> Check:
    active = [job for job in work.jobs if job.active]
    objection = None
    if active:
        objection = (
            f"pg_cron runs jobs that may write behind the fence: {_named(active)}; deactivate them first "
            f"(SELECT cron.alter_job(number, active := false)), {_FORCE}"
        )
    return _check("no-scheduled-jobs", objection, "pg_cron runs no active job that can be seen")


def _workers(workers: Sequence[ClientSession]) -> Check:
    objection = None
    if workers:
        names = _named(sorted({worker.in_words for worker in workers}))
        objection = (
            f"background workers of the database may write behind the fence: {names}; stop what starts them, {_FORCE}"
        )
    return _check("no-background-workers", objection, "no background worker is connected that could write")


def _seen(work: BackgroundWork) -> Check:
    if not work.unreadable_parts:
        return _check("background-work-is-seen", None, "slots, subscriptions and scheduled jobs were checked")
    reason = f"not checked: {'; '.join(work.unreadable_parts)}; what is there may be lost, or write behind the fence"
    return Check.warned("background-work-is-seen", reason)


def _named(things: Sequence[object]) -> str:
    names = ", ".join(str(thing) for thing in things[:_MAX_NAMED])
    return f"{names}, and {len(things) - _MAX_NAMED} more" if len(things) > _MAX_NAMED else names
