"""Where this deployment lives: events of another account or region are none of its business."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Home:
    """AWS account, region and partition (`aws`, `aws-cn`, `aws-us-gov`, …)."""

    account: str
    region: str
    partition: str = "aws"

    @classmethod
    def of_arn(cls, arn: str) -> "Home | None":
        """The account and region that an ARN names; None: it does not name both."""
        account, region = parse_account_and_region(arn)
        return cls(account, region, arn.split(":", 2)[1]) if account and region else None

    def foreign_arns(self, arns: Iterable[str]) -> list[str]:
        """The ARNs that name another account or region. One that names neither (S3, IAM) is no stranger."""
        return [
            arn
            for arn in arns
            if any(
                found not in ("", ours)
                for found, ours in zip(parse_account_and_region(arn), (self.account, self.region), strict=True)
            )
        ]

    def __str__(self) -> str:
        """For reasons."""
        return f"account {self.account}, {self.region}"


def parse_account_and_region(arn: str) -> tuple[str, str]:
    """Account and region out of `arn:<partition>:<service>:<region>:<account>:…`; empty: not named."""
    parts = arn.split(":", 5)
    return (parts[4], parts[3]) if len(parts) == 6 and parts[0] == "arn" else ("", "")
