"""Keys in the evidence of checks by which Verify, promotion and `rollback verify` decide."""

from rollback.check import Check, Verdict

NOT_LOOKED_AT = "not_looked_at"  # the question has no answer, and waiting changes nothing
UNANSWERED = "unanswered"  # the question is essential, and a service or the caller's permissions gave no answer
SETTLED = "settled"  # a warning that another round does not change
OTHER_SERVICE = "another_service"  # no escalation of this rollback's service helps
DATABASE = "database"  # the same: no escalation of a service mends a database
CONNECTION_FAILED = "connection_failed"  # the next round has the same result
REFUSED = "refused"  # AWS refuses the call permanently
TARGET_GROUP_GONE = "gone_group"  # the only fault is a deleted target group, which no release caused
LASTING = "lasting"  # a failure that stays in this verification, and that an escalation may mend

_FAILED_FOR_GOOD = (REFUSED, CONNECTION_FAILED)
_BEYOND_THE_SERVICE = (OTHER_SERVICE, DATABASE)


def failing(checks: tuple[Check, ...]) -> list[Check]:
    """List the failed checks."""
    return [check for check in checks if check.verdict is Verdict.FAIL]


def is_failed_for_good(check: Check) -> bool:
    """Whether neither time nor another escalation level changes the failure."""
    return any(key in check.evidence for key in _FAILED_FOR_GOOD)


def is_beyond_the_service(check: Check) -> bool:
    """Whether no escalation of the rollback's own service changes the failure."""
    return any(key in check.evidence for key in _BEYOND_THE_SERVICE)


def may_still_change(check: Check) -> bool:
    """Whether a warning may become another verdict in a later round."""
    is_final = NOT_LOOKED_AT in check.evidence or SETTLED in check.evidence
    return check.verdict is Verdict.WARN and not is_final
