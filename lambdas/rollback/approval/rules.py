"""Rules of the gate: whether a planned rollback needs an approval, why, and which facts a person approves."""

from collections.abc import Iterator

from rollback.check import Check, Verdict
from rollback.domain.approval.gate import ApprovedFacts
from rollback.domain.approval.policy import ApprovalPolicy, ApprovalReason
from rollback.domain.database.progress import RestorePoint
from rollback.domain.plan import Plan
from rollback.domain.releases.release import ReleaseState
from rollback.domain.request import Request, RollbackType
from rollback.domain.rollback import Rollback
from rollback.schema.compatibility_check import CHECK_NAME

REASONS_IN_WORDS = {
    ApprovalReason.DATABASE: "it rolls the data of the database back",
    ApprovalReason.FULL: "it rolls the release and the data of the database back",
    ApprovalReason.SCHEMA: "the target breaks on the live schema, or nobody knows whether it does",
    ApprovalReason.FORCED: "an operator started it with --force",
    ApprovalReason.QUARANTINED_TARGET: "the target is quarantined",
}


def reasons_for_approval(
    request: Request, plan: Plan, admission: tuple[Check, ...], policy: ApprovalPolicy
) -> tuple[ApprovalReason, ...]:
    """List the reasons why a rollback needs an approval, in the order of the settings' values; empty: it needs none.

    An emergency never needs one. An emergency that the schema turned into a full rollback is no emergency any more.

    Args:
        request: the request, with the type that the schema may have changed.
        plan: the plan, which refuses nothing.
        admission: checks of the admission.
        policy: settings of the environment's approvals.
    """
    if request.type is RollbackType.EMERGENCY or request.dry_run:
        return ()
    required = frozenset(policy.required_for)
    return tuple(reason for reason in _reasons(request, plan, admission) if reason in required)


def _reasons(request: Request, plan: Plan, admission: tuple[Check, ...]) -> Iterator[ApprovalReason]:
    if request.type is RollbackType.DATABASE:
        yield ApprovalReason.DATABASE
    if request.type is RollbackType.FULL:
        yield ApprovalReason.FULL
    schema = _schema_check(plan, admission)
    if schema is not None and schema.verdict in (Verdict.WARN, Verdict.FAIL):
        yield ApprovalReason.SCHEMA
    if request.force:
        yield ApprovalReason.FORCED
    if plan.target is not None and plan.target.state is ReleaseState.QUARANTINED:
        yield ApprovalReason.QUARANTINED_TARGET


def facts_to_approve(rollback: Rollback, plan: Plan) -> ApprovedFacts:
    """Collect the facts of a plan that a person approves."""
    database, target = plan.database, plan.target
    schema = _schema_check(plan, rollback.admission)
    verdict = schema.evidence.get("compatibility") if schema is not None else None
    return ApprovedFacts(
        type=rollback.request.type.value,
        running=plan.running.fingerprint,
        running_version=plan.running.version,
        target=target.fingerprint if target is not None else None,
        target_version=target.version if target is not None else "",
        strategy=database.strategy.value if database is not None else None,
        branch=database.branch if database is not None else None,
        restore_point=_describe_point(database.point) if database is not None else None,
        source=(database.undone_rollback_id or database.source_branch_id) if database is not None else None,
        migrations=database.migrations if database is not None else (),
        schema_verdict=verdict if isinstance(verdict, str) else None,
        overridden=tuple(check.name for check in plan.checks if check.verdict is Verdict.FAIL),
    )


def _describe_point(point: RestorePoint | None) -> str | None:
    if point is None:
        return None
    at = f"{point.at:%Y-%m-%d %H:%M:%S.%f} UTC"
    return f"{point.lsn} at {at}" if point.lsn is not None else at


def _schema_check(plan: Plan, admission: tuple[Check, ...]) -> Check | None:
    """The schema's check of the plan, or of an emergency's admission; None: the schema was not asked."""
    return next((check for check in (*plan.checks, *admission) if check.name == CHECK_NAME), None)
