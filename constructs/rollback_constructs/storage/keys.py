"""The team's own KMS keys, in place of AWS's keys.

The CDK doesn't change the policy of an imported key: the team has to allow our roles and AWS's services to use it.
`docs/deploying.md` has the statements that each key needs.
"""

from pydantic import BaseModel, ConfigDict, Field

KEY_ARN = r"^arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key/[A-Za-z0-9-]+$"


class KeySettings(BaseModel):
    """ARNs of keys. Aliases are not allowed: IAM compares the ARN of the used key, which has no alias."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ledger: str | None = Field(default=None, pattern=KEY_ARN, description="encrypts the ledger's table")
    topics: str | None = Field(default=None, pattern=KEY_ARN, description="encrypts both topics")
    reports: str | None = Field(default=None, pattern=KEY_ARN, description="encrypts the bucket of reports")
    logs: str | None = Field(default=None, pattern=KEY_ARN, description="encrypts the logs of functions and workflows")
    approvals: str | None = Field(
        default=None, pattern=KEY_ARN, description="encrypts task tokens; default: a key that the stack creates"
    )
    secrets: tuple[str, ...] = Field(default=(), description="encrypt the database's secrets, which the team creates")
