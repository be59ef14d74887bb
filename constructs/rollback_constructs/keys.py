"""KMS keys of the team's own, in place of AWS's: who makes them has to let our roles and AWS's services use them.

An imported key's policy is not ours to write. `docs/deploying.md` has the statements that each key needs.
"""

from pydantic import BaseModel, ConfigDict, Field

KEY_ARN = r"^arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key/[A-Za-z0-9-]+$"


class KeySettings(BaseModel):
    """Key ARNs, not aliases: IAM compares the key that is used, whose ARN names no alias."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ledger: str | None = Field(default=None, pattern=KEY_ARN, description="encrypts the ledger's table")
    topics: str | None = Field(default=None, pattern=KEY_ARN, description="encrypts both topics")
    logs: str | None = Field(default=None, pattern=KEY_ARN, description="encrypts the logs of functions and workflows")
    secrets: tuple[str, ...] = Field(default=(), description="encrypt the database's secrets, which the team makes")
