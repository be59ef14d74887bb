"""The look at the live schema before a rollback of the service may take the database with it.

The plan's verdict is from the last look that the ledger has, which may be an hour old. Before the fence stops anything,
SQL tells what is there now: a restore overwrites data, and begins on fresh evidence only.
"""

from rollback.check import Check
from rollback.database.observation.observe import live_schema
from rollback.database.preflight.context import Restoring
from rollback.domain.database.plan import DatabasePlan
from rollback.domain.database.release_schema import ReleaseSchema
from rollback.domain.database.schema_finding import Compatibility
from rollback.domain.database.schema_verdict import SchemaVerdict
from rollback.domain.plan import Plan
from rollback.domain.rollback import Rollback
from rollback.domain.settings.database import Strategy
from rollback.errors import CallRefused, OutsideFailure
from rollback.ports.world import World
from rollback.resources.database.errors import ComeBackLater
from rollback.schema.refusal import CHECK_NAME, evidence_of, schema_check, why_not_full
from rollback.schema.verdict import verdict_on

_ALONE_AGAIN = "full-rollback-is-needed"


def is_confirmed_first(rollback: Rollback) -> bool:
    """Whether the schema made it a full rollback, and its part of the database has not begun."""
    return rollback.full_instead_of is not None and rollback.database is None


def live_verdict(rollback: Rollback, restoring: Restoring, world: World) -> SchemaVerdict:
    """The verdict on the target, on the schema that is live at this moment.

    Raises:
        ComeBackLater: Postgres can't be asked now, or migrations are being applied.
        CallRefused: Neon or Postgres refuse to tell.
    """
    assert rollback.plan is not None  # noqa: S101 - the database step has a plan with a target
    assert rollback.plan.target is not None  # noqa: S101
    live = _looked_at(restoring)
    return verdict_on(rollback.plan.target, live, world.clock.now(), world, rollback.plan.running)


def _looked_at(restoring: Restoring) -> ReleaseSchema:
    try:
        return live_schema(restoring.address(restoring.target.branch_id), restoring.sql)
    except (ComeBackLater, CallRefused):
        raise
    except OutsideFailure as failure:
        raise ComeBackLater(str(failure)) from failure


def alone_again(rollback: Rollback, verdict: SchemaVerdict) -> Rollback:
    """The rollback that was asked for: the target fits, and the database stays as it is."""
    assert rollback.plan is not None  # noqa: S101 - it was judged
    assert rollback.full_instead_of is not None  # noqa: S101
    assert rollback.plan.target is not None  # noqa: S101
    said = next((c.reason for c in (*rollback.plan.checks, *rollback.admission) if c.name == CHECK_NAME), "")
    reason = (
        f"{rollback.plan.target.version} fits the live schema, which was looked at before anything was stopped: "
        "the service goes back alone, and the database stays as it is"
    )
    fits = Check.passed(CHECK_NAME, verdict.reason, evidence=evidence_of(verdict))
    told = Check.warned(_ALONE_AGAIN, f"{reason}; the last look had said: {said}")
    made = rollback.plan.model_copy(update={"database": None, "checks": (*_others(rollback.plan), fits, told)})
    return rollback.but(
        request=rollback.request.model_copy(update={"type": rollback.full_instead_of}),
        admission=tuple(check for check in rollback.admission if check.name != CHECK_NAME),
        plan=made,
        database_waits_since=None,
        reason=reason,
        wait_seconds=0,
    )


def not_confirmed(rollback: Rollback, verdict: SchemaVerdict, world: World) -> tuple[Rollback, str]:
    """The rollback with the check that refuses it, and why: the verdict is unknown, or no migration explains it."""
    assert rollback.plan is not None  # noqa: S101 - it was judged
    assert rollback.plan.target is not None  # noqa: S101
    needs_force = world.settings.policy.database_approval == "required"
    target = rollback.plan.target
    remark = f"{why_not_full(verdict)}; this is the live schema, looked at before anything was stopped"
    named = (rollback.environment, target.service, target.version)
    check = schema_check(verdict, *named, needs_force=needs_force, remark=remark)
    made = rollback.plan.model_copy(update={"checks": (*_others(rollback.plan), check)})
    return rollback.but(plan=made), f"{CHECK_NAME}: {check.reason}"


def why_not_this_way_down(plan: DatabasePlan, verdict: SchemaVerdict) -> str | None:
    """None: the migrations that the plan steps down are those that the live journal has since the target."""
    applied = tuple(reversed(verdict.since))
    if plan.strategy is not Strategy.DOWN_MIGRATIONS or plan.migrations == applied:
        return None
    return (
        f"the plan steps down {', '.join(plan.migrations)}, and since the target the database has applied "
        f"{', '.join(reversed(applied))}: it is planned anew after the next look"
    )


def is_fit(verdict: SchemaVerdict) -> bool:
    """Whether the service can go back alone."""
    return verdict.compatibility is Compatibility.COMPATIBLE


def _others(plan: Plan) -> tuple[Check, ...]:
    return tuple(check for check in plan.checks if check.name != CHECK_NAME)
