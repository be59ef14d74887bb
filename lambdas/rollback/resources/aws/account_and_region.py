"""Account and region of this deployment; events of another account or region are ignored."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class AccountAndRegion:
    """AWS account, region and partition (`aws`, `aws-cn`, `aws-us-gov`, …)."""

    account: str
    region: str
    partition: str = "aws"

    @classmethod
    def of_arn(cls, arn: str) -> "AccountAndRegion | None":
        """Return the account and region of an ARN, or None if the ARN does not name both."""
        account, region = parse_account_and_region(arn)
        return cls(account, region, arn.split(":", 2)[1]) if account and region else None

    def foreign_arns(self, arns: Iterable[str]) -> list[str]:
        """List the ARNs of another account or region; an ARN that names neither (S3, IAM) is not foreign."""
        return [
            arn
            for arn in arns
            if any(
                part not in ("", own_part)
                for part, own_part in zip(parse_account_and_region(arn), (self.account, self.region), strict=True)
            )
        ]

    def __str__(self) -> str:
        """Text for a check's reason."""
        return f"account {self.account}, {self.region}"


def parse_account_and_region(arn: str) -> tuple[str, str]:
    """Return account and region of `arn:<partition>:<service>:<region>:<account>:…`; a missing part is empty."""
    parts = arn.split(":", 5)
    return (parts[4], parts[3]) if len(parts) == 6 and parts[0] == "arn" else ("", "")
