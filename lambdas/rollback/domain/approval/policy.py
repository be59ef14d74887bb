"""Settings of approvals: which rollbacks wait for a person's decision, for how long, and who may decide."""

import re
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field, field_validator

# The beginning of an ARN of IAM or STS; the account and the resource may have `*`.
_PATTERN = re.compile(r"arn:[a-z*][a-z0-9*-]*:(iam|sts|\*)::[0-9*]{1,12}:.+")


class ApprovalReason(StrEnum):
    """Reasons why a rollback needs an approval."""

    DATABASE = "database"  # the data of the database is rolled back, and the release stays
    FULL = "full"  # release and database are rolled back
    SCHEMA = "breaking_or_unknown_schema"  # the target can't, or may not, work with the live schema
    FORCED = "forced"  # an operator started it with `--force`
    QUARANTINED_TARGET = "quarantined_target"  # an operator, or a rollback, quarantined the target


class ApprovalPolicy(BaseModel):
    """Settings of approvals of one environment. An emergency never waits for an approval."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    required_for: tuple[ApprovalReason, ...] = Field(
        default=(ApprovalReason.DATABASE, ApprovalReason.FULL), description="empty: no rollback needs an approval"
    )
    approval_timeout_minutes: float = Field(
        default=60, gt=0, le=24 * 60, description="a rollback without a decision by then is rejected"
    )
    four_eyes: bool = Field(default=False, description="a rollback is approved by another person than its starter")
    approvers: tuple[str, ...] = Field(
        default=(),
        description="ARNs of IAM principals that may decide, with `*` for any characters; empty: every principal that "
        "may invoke the function that takes decisions",
    )

    @field_validator("approvers")
    @classmethod
    def _are_principals(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        wrong = [pattern for pattern in patterns if not _PATTERN.fullmatch(pattern)]
        if wrong:
            raise ValueError(
                f"approvers names {', '.join(wrong)}; allowed are ARNs of users, roles and assumed roles, such as "
                "arn:aws:iam::123456789012:role/OnCall or arn:aws:sts::*:assumed-role/OnCall/*"
            )
        return patterns

    @property
    def needs_verified_identity(self) -> bool:
        """Whether a decision counts only with a proof of identity."""
        return self.four_eyes or bool(self.approvers)
