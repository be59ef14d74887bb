"""Check the live schema again before a rollback that the schema escalated to full may change the database.

The plan's verdict rests on the last observation in the ledger, which may be an hour old. A restore overwrites data, so
Postgres is asked for the schema of this moment before the fence stops any task.
"""

from rollback.check import Check
from rollback.database.observation.observe import read_live_schema
from rollback.database.ports import LiveSchemaPorts
from rollback.database.preflight.branch_context import BranchContext
from rollback.domain.database.plan import DatabasePlan
from rollback.domain.database.release_schema import ReleaseSchema
from rollback.domain.database.schema_verdict import Compatibility, SchemaVerdict
from rollback.domain.plan import Plan
from rollback.domain.rollback import Rollback
from rollback.domain.settings.database import DatabaseSettings, Strategy
from rollback.errors import CallRefused, ExternalServiceError
from rollback.resources.database.errors import RetryLater
from rollback.schema.compatibility_check import CHECK_NAME, evidence_of, explain_no_full_rollback, schema_check
from rollback.schema.verdict_from_ledger import verdict_on

_FULL_IS_NEEDED = "full-rollback-is-needed"


def is_live_check_needed(rollback: Rollback) -> bool:
    """Whether the schema escalated the rollback to full, and the database's part has not begun."""
    return rollback.escalated_from_type is not None and rollback.database is None


def judge_live_schema(
    rollback: Rollback, settings: DatabaseSettings, context: BranchContext, ports: LiveSchemaPorts
) -> SchemaVerdict:
    """Judge the target against the live schema.

    Raises:
        RetryLater: Postgres does not answer now, or migrations are being applied.
        CallRefused: Neon or Postgres refused the question for good.
    """
    planned = rollback.planned()
    live = _read_live_schema(context)
    return verdict_on(planned.target, live, ports.clock.now(), settings.branch_key(None), ports, planned.plan.running)


def _read_live_schema(context: BranchContext) -> ReleaseSchema:
    try:
        return read_live_schema(context.address(context.settings.branch_id), context.sql)
    except (RetryLater, CallRefused):
        raise
    except ExternalServiceError as failure:
        raise RetryLater(str(failure)) from failure


def revert_to_service_only(rollback: Rollback, verdict: SchemaVerdict) -> Rollback:
    """Undo the escalation: the target works with the live schema, so the database stays as it is."""
    planned = rollback.planned()
    requested_type = rollback.escalated_from_type or rollback.request.type
    outdated_reason = next((c.reason for c in (*planned.plan.checks, *rollback.admission) if c.name == CHECK_NAME), "")
    reason = (
        f"{planned.target.version} fits the live schema, which was read before any task was stopped: "
        "only the service is rolled back, and the database stays as it is"
    )
    compatible_check = Check.passed(CHECK_NAME, verdict.reason, evidence=evidence_of(verdict))
    unneeded_check = Check.warned(_FULL_IS_NEEDED, f"{reason}; reason from the last observation: {outdated_reason}")
    checks = (*_other_checks(planned.plan), compatible_check, unneeded_check)
    service_plan = planned.plan.model_copy(update={"database": None, "checks": checks})
    return rollback.evolve(
        request=rollback.request.model_copy(update={"type": requested_type}),
        admission=tuple(check for check in rollback.admission if check.name != CHECK_NAME),
        plan=service_plan,
        database_waits_since=None,
        reason=reason,
        wait_seconds=0,
    )


def refuse_unconfirmed(rollback: Rollback, verdict: SchemaVerdict) -> tuple[Rollback, str]:
    """Add the check that refuses the rollback: the verdict is unknown, or no shipped migration explains it.

    Returns:
        The rollback with that check in its plan, and the reason of the refusal.
    """
    planned = rollback.planned()
    target = planned.target
    remark = f"{explain_no_full_rollback(verdict)}; the live schema was read before any task was stopped"
    identity = (rollback.environment, target.service, target.version)
    check = schema_check(verdict, *identity, remark=remark)
    refused_plan = planned.plan.model_copy(update={"checks": (*_other_checks(planned.plan), check)})
    return rollback.evolve(plan=refused_plan), f"{CHECK_NAME}: {check.reason}"


def why_down_migrations_differ(plan: DatabasePlan, verdict: SchemaVerdict) -> str | None:
    """Say how the plan's down-migrations differ from the live journal since the target. None: they are the same."""
    applied_tags = tuple(reversed(verdict.since))
    if plan.strategy is not Strategy.DOWN_MIGRATIONS or plan.migrations == applied_tags:
        return None
    return (
        f"the plan steps down {', '.join(plan.migrations)}, but the migrations applied since the target are "
        f"{', '.join(reversed(applied_tags))}: the rollback is planned again after the next observation"
    )


def is_compatible(verdict: SchemaVerdict) -> bool:
    """Whether the service can go back alone."""
    return verdict.compatibility is Compatibility.COMPATIBLE


def _other_checks(plan: Plan) -> tuple[Check, ...]:
    return tuple(check for check in plan.checks if check.name != CHECK_NAME)
