"""Work on a database that no service's task does: replication and scheduled jobs, and what a restore does to each.

Neon deletes every replication slot of a branch that it restores, and makes none anew
(https://neon.com/docs/guides/logical-replication-neon, "Branch restore removes replication slots"). Subscriptions are
dropped on a branch that is made from another one (https://github.com/neondatabase/postgres/pull/594). The apply workers
of subscriptions and the jobs of pg_cron (https://neon.com/docs/extensions/pg_cron) run inside the compute: no fence
around ECS stops them.
"""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from rollback.check import Check, Verdict
from rollback.resources.database.postgres import ClientSession

_MOST_NAMED = 10
_FORCE = "or start it with --force"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class ReplicationSlot(_Frozen):
    """A logical slot that outlives its session. Neon's own (`wal_proposer_slot`) are physical, and left out."""

    name: str
    database: str
    plugin: str = ""
    active: bool = False

    def __str__(self) -> str:
        return f"{self.name} ({self.plugin or 'no plugin'}, database {self.database})"


class Subscription(_Frozen):
    """Applies what another database publishes."""

    name: str
    database: str
    enabled: bool = True

    def __str__(self) -> str:
        return f"{self.name} (database {self.database}{'' if self.enabled else ', disabled'})"


class ScheduledJob(_Frozen):
    """A job of pg_cron. Its command is not read: it may hold a password."""

    number: int
    name: str = ""
    schedule: str
    database: str
    role: str
    active: bool = True

    def __str__(self) -> str:
        return f"{self.number} {self.name or 'unnamed'} ({self.schedule}, as {self.role}, database {self.database})"


class BackgroundWork(_Frozen):
    """What SQL tells of a whole branch. `unreadable_parts`: what could not be looked at, and why; never taken for
    nothing."""

    slots: tuple[ReplicationSlot, ...] = ()
    subscriptions: tuple[Subscription, ...] = ()
    jobs: tuple[ScheduledJob, ...] = ()
    unreadable_parts: tuple[str, ...] = ()

    @property
    def replication_at_risk(self) -> tuple[str, ...]:
        """What a restore deletes, in words."""
        slots = (f"replication slot {slot}" for slot in self.slots)
        return (*slots, *(f"subscription {subscription}" for subscription in self.subscriptions))


def judge_background_work(
    work: BackgroundWork, workers: Sequence[ClientSession], *, replaces_data: bool
) -> tuple[Check, ...]:
    """Checks before the fence: what would be lost, and what would go on writing behind it. A person may force them.

    Args:
        workers: sessions that are no client's.
        replaces_data: the branch gets other data; False: it is changed in place, and keeps its slots.
    """
    return (
        *((_slots(work),) if replaces_data else ()),
        _subscriptions(work, replaces_data=replaces_data),
        _jobs(work),
        _workers(workers),
        _seen(work),
    )


def _check(name: str, why_not: str | None, otherwise: str, *, lost: Sequence[str] = ()) -> Check:
    verdict = Verdict.PASS if why_not is None else Verdict.FAIL
    return Check(
        name=name,
        verdict=verdict,
        reason=why_not or otherwise,
        forceable=why_not is not None,
        evidence={"replication_at_risk": list(lost)} if lost else {},
    )


def _slots(work: BackgroundWork) -> Check:
    why_not = None
    if work.slots:
        why_not = (
            f"Neon deletes replication slots when it restores a branch: {_named(work.slots)}; each one's consumer "
            f"loses its place and has to be set up anew, from a fresh copy; drop the slots first, {_FORCE}"
        )
    lost = [f"replication slot {slot}" for slot in work.slots]
    return _check("replication-slots", why_not, "there is no logical replication slot", lost=lost)


def _subscriptions(work: BackgroundWork, *, replaces_data: bool) -> Check:
    against = [one for one in work.subscriptions if one.enabled or replaces_data]
    why_not = None
    if against:
        lost = "; a restore drops subscriptions: each has to be made anew" if replaces_data else ""
        why_not = (
            f"subscriptions write to the branch whether or not a service runs: {_named(against)}{lost}; "
            f"ALTER SUBSCRIPTION … DISABLE or drop them first, {_FORCE}"
        )
    losable = [f"subscription {one}" for one in work.subscriptions] if replaces_data else []
    return _check("subscriptions", why_not, "there is no subscription", lost=losable)


def _jobs(work: BackgroundWork) -> Check:
    active = [job for job in work.jobs if job.active]
    why_not = None
    if active:
        why_not = (
            f"pg_cron runs jobs that may write behind the fence: {_named(active)}; deactivate them first "
            f"(SELECT cron.alter_job(number, active := false)), {_FORCE}"
        )
    return _check("scheduled-jobs", why_not, "pg_cron runs no active job that can be seen")


def _workers(workers: Sequence[ClientSession]) -> Check:
    why_not = None
    if workers:
        named = _named(sorted({worker.in_words for worker in workers}))
        why_not = (
            f"background workers of the database may write behind the fence: {named}; stop what starts them, {_FORCE}"
        )
    return _check("background-workers", why_not, "no background worker is connected that could write")


def _seen(work: BackgroundWork) -> Check:
    if not work.unreadable_parts:
        return _check("background-work-is-seen", None, "slots, subscriptions and scheduled jobs were looked at")
    reason = f"not looked at: {'; '.join(work.unreadable_parts)}; what is there may be lost, or write behind the fence"
    return Check.warned("background-work-is-seen", reason)


def _named(things: Sequence[object]) -> str:
    told = ", ".join(str(one) for one in things[:_MOST_NAMED])
    return f"{told}, and {len(things) - _MOST_NAMED} more" if len(things) > _MOST_NAMED else told
