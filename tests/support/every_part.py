"""Settings of an environment with all parts that settings can switch on, in a region of any partition."""

from typing import Any

from rollback_constructs.settings.environment import merge
from stacks.assembly import project_context

ACCOUNT = "123456789012"
REGIONS = {
    "aws": "eu-west-1", "aws-us-gov": "us-gov-west-1", "aws-cn": "cn-north-1", "aws-eusc": "eusc-de-east-1",
}  # fmt: skip
WITHOUT_CHATBOT = {"aws-cn", "aws-us-gov"}
ID = "11111111-2222-3333-4444-555555555555"
PLACE = {
    "vpc_id": "vpc-0a1b2c3d", "private_subnet_ids": ["subnet-0a1b2c3d"], "security_group_ids": ["sg-0a1b2c3d"],
}  # fmt: skip


def everything(partition: str) -> dict[str, Any]:
    """Build the settings of staging, with all parts that the settings can switch on."""
    region = REGIONS[partition]
    secret, key = (
        f"arn:{partition}:secretsmanager:{region}:{ACCOUNT}:secret:",
        f"arn:{partition}:kms:{region}:{ACCOUNT}",
    )
    workload = {
        "certificate_arn": f"arn:{partition}:acm:{region}:{ACCOUNT}:certificate/{ID}",
        "secrets": {"URL": f"{secret}url-AbCdEf"},
    }
    channel = {"slack_channel": {"workspace_id": "T0123ABCD", "channel_id": "C0123ABCD"}}
    change = {
        "account": ACCOUNT,
        "region": region,
        "availability_zones": [f"{region}a", f"{region}b"],
        "services": [{"base_url": "https://shop.example", "smoke_command": ["smoke"], "workload": workload}],
        "database": {
            "project_id": "quiet-sun-1",
            "branch_id": "br-main-1",
            "api_key_secret_arn": f"{secret}neon-AbCdEf",
            "connection_secret_arn": f"{secret}url-AbCdEf",
            "down_command": ["down"],
        },
        "github": {"repository": "shop/api", "token_secret_arn": f"{secret}github-AbCdEf"},
        "github_actions": {"repository": "shop/api", "creates_oidc_provider": True},
        "drills": {"schedule": "cron(0 10 ? * TUE *)"},
        "chat": {} if partition in WITHOUT_CHATBOT else channel,
        "keys": {
            **dict.fromkeys(("ledger", "topics", "logs", "reports", "approvals"), f"{key}:key/{ID}"),
            "secrets": [f"{key}:key/{ID}"],
        },
        "functions": {"probes_in_vpc": {**PLACE, "availability_zones": [f"{region}a"]}},
        "notify": ["mailto:oncall@shop.example"],
    }
    return merge(project_context()["environments"]["staging"], change)  # type: ignore[no-any-return]
