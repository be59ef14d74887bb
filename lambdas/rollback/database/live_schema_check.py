"""The look at the live schema before a rollback of the service may take the database with it.

The plan's verdict is from the last look that the ledger has, which may be an hour old. Before the fence stops anything,
SQL tells what is there now: a restore overwrites data, and begins on fresh evidence only.
"""

from rollback.check import Check
from rollback.database.observation.observe import live_schema
from rollback.database.preflight.context import RestoreContext
from rollback.domain.database.plan import DatabasePlan
from rollback.domain.database.release_schema import ReleaseSchema
from rollback.domain.database.schema_finding import Compatibility
from rollback.domain.database.schema_verdict import SchemaVerdict
from rollback.domain.plan import Plan
from rollback.domain.rollback import Rollback
from rollback.domain.settings.database import Strategy
from rollback.errors import CallRefused, ExternalServiceError
from rollback.ports.world import World
from rollback.resources.database.errors import RetryLater
from rollback.schema.refusal import CHECK_NAME, evidence_of, explain_no_full_rollback, schema_check
from rollback.schema.verdict import verdict_on

_FULL_IS_NEEDED = "full-rollback-is-needed"


def is_live_check_needed(rollback: Rollback) -> bool:
    """Whether the schema made it a full rollback, and its part of the database has not begun."""
    return rollback.escalated_from_type is not None and rollback.database is None


def judge_live_schema(rollback: Rollback, restoring: RestoreContext, world: World) -> SchemaVerdict:
    """The verdict on the target, on the schema that is live at this moment.

    Raises:
        RetryLater: Postgres can't be asked now, or migrations are being applied.
        CallRefused: Neon or Postgres refuse to tell.
    """
    assert rollback.plan is not None  # noqa: S101 - the database step has a plan with a target
    assert rollback.plan.target is not None  # noqa: S101
    live = _read_live_schema(restoring)
    return verdict_on(rollback.plan.target, live, world.clock.now(), world, rollback.plan.running)


def _read_live_schema(restoring: RestoreContext) -> ReleaseSchema:
    try:
        return live_schema(restoring.address(restoring.target.branch_id), restoring.sql)
    except (RetryLater, CallRefused):
        raise
    except ExternalServiceError as failure:
        raise RetryLater(str(failure)) from failure


def revert_to_service_only(rollback: Rollback, verdict: SchemaVerdict) -> Rollback:
    """The rollback that was asked for: the target fits, and the database stays as it is."""
    assert rollback.plan is not None  # noqa: S101 - it was judged
    assert rollback.escalated_from_type is not None  # noqa: S101
    assert rollback.plan.target is not None  # noqa: S101
    said = next((c.reason for c in (*rollback.plan.checks, *rollback.admission) if c.name == CHECK_NAME), "")
    reason = (
        f"{rollback.plan.target.version} fits the live schema, which was looked at before anything was stopped: "
        "the service goes back alone, and the database stays as it is"
    )
    fits = Check.passed(CHECK_NAME, verdict.reason, evidence=evidence_of(verdict))
    told = Check.warned(_FULL_IS_NEEDED, f"{reason}; the last look had said: {said}")
    made = rollback.plan.model_copy(update={"database": None, "checks": (*_other_checks(rollback.plan), fits, told)})
    return rollback.evolve(
        request=rollback.request.model_copy(update={"type": rollback.escalated_from_type}),
        admission=tuple(check for check in rollback.admission if check.name != CHECK_NAME),
        plan=made,
        database_waits_since=None,
        reason=reason,
        wait_seconds=0,
    )


def refuse_unconfirmed(rollback: Rollback, verdict: SchemaVerdict, world: World) -> tuple[Rollback, str]:
    """The rollback with the check that refuses it, and why: the verdict is unknown, or no migration explains it."""
    assert rollback.plan is not None  # noqa: S101 - it was judged
    assert rollback.plan.target is not None  # noqa: S101
    needs_force = world.settings.policy.database_approval == "required"
    target = rollback.plan.target
    remark = f"{explain_no_full_rollback(verdict)}; this is the live schema, looked at before anything was stopped"
    named = (rollback.environment, target.service, target.version)
    check = schema_check(verdict, *named, needs_force=needs_force, remark=remark)
    made = rollback.plan.model_copy(update={"checks": (*_other_checks(rollback.plan), check)})
    return rollback.evolve(plan=made), f"{CHECK_NAME}: {check.reason}"


def why_down_migrations_differ(plan: DatabasePlan, verdict: SchemaVerdict) -> str | None:
    """None: the migrations that the plan steps down are those that the live journal has since the target."""
    applied = tuple(reversed(verdict.since))
    if plan.strategy is not Strategy.DOWN_MIGRATIONS or plan.migrations == applied:
        return None
    return (
        f"the plan steps down {', '.join(plan.migrations)}, and since the target the database has applied "
        f"{', '.join(reversed(applied))}: it is planned anew after the next look"
    )


def is_compatible(verdict: SchemaVerdict) -> bool:
    """Whether the service can go back alone."""
    return verdict.compatibility is Compatibility.COMPATIBLE


def _other_checks(plan: Plan) -> tuple[Check, ...]:
    return tuple(check for check in plan.checks if check.name != CHECK_NAME)
