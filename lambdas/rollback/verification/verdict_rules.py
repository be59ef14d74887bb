"""The verdict on a running release, from its checks, for an operator or a pipeline."""

from collections.abc import Iterable
from enum import StrEnum

from rollback.check import Check, Verdict
from rollback.verification.checks.evidence_keys import NOT_LOOKED_AT, UNANSWERED, may_still_change


class HealthVerdict(StrEnum):
    """Verdict on a running release."""

    HEALTHY = "healthy"
    FAILED = "failed"
    NOT_LOOKED_AT = "not looked at"  # no check failed, and an essential one has no answer
    NOT_YET = "not yet"  # no check failed, and one waits


def as_seen_by_caller(check: Check) -> Check:
    """Turn a failure for want of an answer into a check that was not looked at: a missing permission breaks nothing."""
    if check.verdict is not Verdict.FAIL or UNANSWERED not in check.evidence:
        return check
    evidence = {**check.evidence, NOT_LOOKED_AT: check.name}
    reason = check.reason.removeprefix("not checked: ")
    return check.model_copy(
        update={"verdict": Verdict.WARN, "reason": f"not looked at: {reason}"[:2000], "evidence": evidence}
    )


def verdict_of(checks: Iterable[Check]) -> HealthVerdict:
    """Judge all checks of a round. A warning without a basis, such as a missing baseline, is no objection."""
    all_checks = tuple(map(as_seen_by_caller, checks))
    if any(check.verdict is Verdict.FAIL for check in all_checks):
        return HealthVerdict.FAILED
    if any(UNANSWERED in check.evidence for check in all_checks if check.verdict is not Verdict.PASS):
        return HealthVerdict.NOT_LOOKED_AT
    return HealthVerdict.NOT_YET if any(map(may_still_change, all_checks)) else HealthVerdict.HEALTHY
