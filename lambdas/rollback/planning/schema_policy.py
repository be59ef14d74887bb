"""Apply the schema policy in a plan (rule 12: a breaking or unknown schema is refused, and a full rollback offered)."""

from rollback.check import Check
from rollback.domain.database.schema_verdict import SchemaVerdict
from rollback.domain.plan import Plan
from rollback.domain.releases.release import Release
from rollback.domain.request import SERVICE_ONLY_TYPES
from rollback.domain.rollback import Rollback
from rollback.planning.pipeline import PlanInputs
from rollback.ports.holders import HasSettings
from rollback.schema.compatibility_check import (
    CHECK_NAME,
    escalate_to_full,
    evidence_of,
    explain_no_full_rollback,
    schema_check,
)
from rollback.schema.ports import SchemaVerdictPorts
from rollback.schema.verdict_from_ledger import schema_verdict


def judge_observed_schema(
    inputs: PlanInputs, draft: Plan, ports: SchemaVerdictPorts
) -> tuple[Rollback, tuple[Check, ...]]:
    """Judge the target on the last observed schema: refuse, or escalate to full where the environment says so.

    Returns:
        The rollback, escalated or not, and the check; no check for a rollback that includes the database.
    """
    rollback = inputs.rollback
    if rollback.request.type not in SERVICE_ONLY_TYPES or draft.target is None:
        return rollback, ()
    verdict = schema_verdict(draft.target, ports, draft.running)
    return apply_schema_verdict(rollback, draft.target, verdict, ports)


def apply_schema_verdict(
    rollback: Rollback, target: Release, verdict: SchemaVerdict | None, ports: HasSettings
) -> tuple[Rollback, tuple[Check, ...]]:
    """Apply a verdict to a rollback of the service alone.

    Args:
        rollback: the rollback.
        target: its target.
        verdict: None: the service writes to no database that is set.
        ports: access to AWS, Neon and the ledger.

    Returns:
        The rollback, escalated or not, and the check.
    """
    if verdict is None:
        reason = "no database is set that the service writes to"
        return rollback, (Check.skipped(CHECK_NAME, reason),)
    request, policy = rollback.request, ports.settings.policy
    escalated = escalate_to_full(request, verdict, policy.on_incompatible_schema)
    if escalated.type is request.type:
        remark = explain_no_full_rollback(verdict) if policy.on_incompatible_schema == "full" else ""
        names = (rollback.environment, target.service, target.version)
        return rollback, (schema_check(verdict, *names, remark=remark),)
    migrations = ", ".join(verdict.attributed_to)
    reason = (
        f"{target.service} can't go back to {target.version} without its database, which is rolled back too, because "
        f"of {migrations}: {verdict.reason}"
    )
    check = Check.warned(CHECK_NAME, reason, evidence=evidence_of(verdict))
    return rollback.evolve(request=escalated, escalated_from_type=request.type), (check,)
