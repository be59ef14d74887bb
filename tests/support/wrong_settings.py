"""Wrong settings that once were accepted, ended in a traceback, or had a message that did not say what is allowed."""

import copy
from collections.abc import Mapping
from typing import Any

from rollback_constructs.settings.environment import merge
from stacks.assembly import project_context

CONTEXT = project_context()
ACCOUNT, REGION = "123456789012", "eu-west-1"
HERE = {"account": ACCOUNT, "region": REGION, "availability_zones": ["eu-west-1a", "eu-west-1b"]}
ELB = f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:"
SECRET = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:"
FOREIGN_SECRET = SECRET.replace(ACCOUNT, "999999999999") + "key-AbCdEf"
DISTANT_SECRET = SECRET.replace("eu-west-1", "us-west-1") + "key-AbCdEf"
CERTIFICATE = f"arn:aws:acm:{REGION}:{ACCOUNT}:certificate/11111111-2222-3333-4444-555555555555"
ID = "50dc6c495c0c9188"
EXISTING: dict[str, Any] = {
    "load_balancer": f"app/shop/{ID}",
    "target_groups": [f"targetgroup/shop/{ID}"],
    "execution_role_arns": [f"arn:aws:iam::{ACCOUNT}:role/execution"],
    "log_group": "/shop",
    "repository": "shop/api",
}
SHOP: dict[str, Any] = {
    "name": "shop", "cluster": "shop", "ecs_service": "shop", "container": "web", "base_url": "https://shop.example",
    "existing": EXISTING,
}  # fmt: skip
DATABASE = {"project_id": "quiet-sun-1", "branch_id": "br-main-1", "api_key_secret_arn": f"{SECRET}neon-key-AbCdEf"}
Context = dict[str, Any]


def production(change: Mapping[str, Any]) -> Context:
    """Change production of the shipped `cdk.json`."""
    context = copy.deepcopy(CONTEXT)
    context["environments"] = {"production": merge(context["environments"]["production"], change)}
    return context


def attached(change: Mapping[str, Any], environment: Mapping[str, Any] | None = None, **existing: Any) -> Context:
    """Describe production by one service that another stack deploys; None removes a setting."""
    described = _without_nones({**EXISTING, **existing})
    service = _without_nones({**SHOP, "existing": described, **change})
    return {"environments": {"production": {"services": [service], **(environment or {})}}}


def named(*names: str) -> Context:
    """Describe one environment by each of these names."""
    return {
        "environments": {
            name: {
                "services": [
                    {
                        **SHOP,
                        "cluster": f"shop-{number}",
                        "existing": {
                            **EXISTING, "target_groups": [f"targetgroup/shop-{number}/{ID}"], "log_group": f"/{number}",
                        },
                    }
                ]
            }
            for number, name in enumerate(names)
        }
    }  # fmt: skip


def _without_nones(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if value is not None}


P = "environments.production"
S = f"{P}.services.0"

# Name of the case → context, path of the setting, and a part of what is said to be allowed.
WRONG: dict[str, tuple[Context, str, str]] = {
    # numbers that contradict each other
    "a bake longer than its limit": (
        production({"policy": {"bake_minutes": 500, "bake_timeout_minutes": 60}}),
        f"{P}.policy.bake_minutes is 500", "less than bake_timeout_minutes, 60",
    ),
    "a bake as long as its limit": (
        production({"policy": {"bake_minutes": 60, "bake_timeout_minutes": 60}}),
        f"{P}.policy.bake_minutes is 60", "less than bake_timeout_minutes, 60",
    ),
    "rounds longer than verification": (
        production({"policy": {"verify_rounds": 100, "verify_interval_seconds": 10}}),
        f"{P}.policy.verify_rounds is 100", "less than verify_timeout_minutes, 10",
    ),
    "polls longer than a lease": (
        production({"policy": {"poll_seconds": 900}}), f"{P}.policy.poll_seconds is 900", "less than lease_minutes, 10",
    ),
    "polls that need a lease's last second": (
        production({"policy": {"poll_seconds": 540}}), f"{P}.policy.poll_seconds is 540", "less than lease_minutes, 10",
    ),
    "rounds further apart than a lease": (
        production({"policy": {"verify_interval_seconds": 600, "verify_rounds": 1, "verify_timeout_minutes": 20}}),
        f"{P}.policy.verify_interval_seconds is 600", "less than lease_minutes, 10",
    ),
    "a lease shorter than a function": (
        production({"policy": {"lease_minutes": 0.6}}),
        f"{P}.policy.act_timeout_seconds is 60", "less than lease_minutes",
    ),
    "an outage milder than a degradation": (
        production({"alarms": {"outage_error_rate_percent": 3, "max_error_rate_percent": 5}}),
        f"{P}.alarms.outage_error_rate_percent is 3", "at least max_error_rate_percent, 5",
    ),
    "more datapoints than periods": (
        production({"alarms": {"datapoints_to_alarm": 9}}),
        f"{P}.alarms.datapoints_to_alarm is 9", "not more than evaluation_periods, 3",
    ),
    "an alarm of 30 hours": (
        production({"alarms": {"period_seconds": 3600, "evaluation_periods": 30}}),
        f"{P}.alarms.evaluation_periods is 30", "at most policy.correlation_window_minutes, 120",
    ),
    "an alarm longer than CloudWatch evaluates": (
        production(
            {"alarms": {"evaluation_periods": 2000}, "policy": {"correlation_window_minutes": 1e4}}
        ),
        f"{P}.alarms.evaluation_periods is 2000", "allowed by CloudWatch are 86400",
    ),
    "events delivered after Admit refuses them": (
        production({"policy": {"stale_trigger_minutes": 1}}),
        f"{P}.policy.stale_trigger_minutes is 1", "at least triggers.event_age_minutes, 5",
    ),
    "a workflow of two thousand years": (
        production({"workflow_timeout_minutes": 1e9}), f"{P}.workflow_timeout_minutes is 1000000000.0",
        "at most 525600",
    ),
    "a workflow shorter than its steps": (
        production({"workflow_timeout_minutes": 20}), f"{P}.workflow_timeout_minutes is 20", "more than the steps'",
    ),
    # numbers that are none
    "an infinite latency": (
        production({"alarms": {"max_p95_latency_seconds": float("inf")}}),
        f"{P}.alarms.max_p95_latency_seconds is not a finite number", "allowed is a number",
    ),
    "no number": (
        production({"policy": {"bake_minutes": float("nan")}}),
        f"{P}.policy.bake_minutes is not a finite number", "allowed is a number",
    ),
    "a truth in place of minutes": (
        production({"policy": {"bake_minutes": True}}), f"{P}.policy.bake_minutes is True", "allowed is a number",
    ),
    "a truth in place of a count": (
        production({"policy": {"verify_rounds": True}}), f"{P}.policy.verify_rounds is True",
        "allowed is a whole number",
    ),
    "a number in quotes": (
        production({"policy": {"bake_minutes": "30"}}), f"{P}.policy.bake_minutes is '30'", "allowed is a number",
    ),
    "a number in place of a truth": (
        production({"drills": {"allow_production_drills": 1}}), f"{P}.drills.allow_production_drills is 1",
        "allowed is true or false",
    ),
    "a half round": (
        production({"policy": {"verify_rounds": 1.5}}), f"{P}.policy.verify_rounds is 1.5", "allowed is a whole number",
    ),
    "a period that CloudWatch does not have": (
        production({"alarms": {"period_seconds": 90}}), f"{P}.alarms.period_seconds is 90", "a multiple of 60",
    ),
    "a period shorter than ELB's": (
        production({"alarms": {"period_seconds": 40}}), f"{P}.alarms.period_seconds is 40", "a multiple of 60",
    ),
    "a negative time": (
        production({"policy": {"lease_minutes": -1}}), f"{P}.policy.lease_minutes is -1", "more than 0",
    ),
    # addresses
    "an address without scheme": (
        production({"services": [{"base_url": "api.macro-ai.com"}]}), f"{S}.base_url is 'api.macro-ai.com'", "https://",
    ),
    "an address with a space": (
        production({"services": [{"base_url": "https://api.macro-ai.com/ x"}]}), f"{S}.base_url is", "https://",
    ),
    "an address with a password": (
        production({"services": [{"base_url": "https://a:b@api.macro-ai.com"}]}), f"{S}.base_url is", "https://",
    ),
    "an address of another protocol": (
        production({"services": [{"base_url": "ftp://api.macro-ai.com"}]}), f"{S}.base_url is", "https://",
    ),
    "an address with port 0": (
        production({"services": [{"base_url": "https://api.macro-ai.com:0"}]}), f"{S}.base_url is", "https://",
    ),
    "endpoints without an address": (
        attached({"base_url": None, "endpoints": [{"path": "/health"}]}), f"{S}.base_url is missing",
        "endpoints are checked there",
    ),
    "a key to Neon without encryption": (
        attached({}, {"database": {**DATABASE, "api_url": "http://console.neon.tech/api/v2"}}),
        f"{P}.database.api_url is 'http://console.neon.tech/api/v2'", "allowed is https://",
    ),
    "endpoints behind a certificate, without an address": (
        production({"services": [{"workload": {"certificate_arn": CERTIFICATE}}]}), f"{S}.base_url is missing",
        "https://<domain of the certificate>",
    ),
    # recipients
    "a mail address without scheme": (
        production({"notify": ["oncall@shop.example"]}), f"{P}.notify.0 is 'oncall@shop.example'", "mailto:<address>",
    ),
    "a mail address without domain": (
        production({"notify": ["mailto:oncall"]}), f"{P}.notify.0 is 'mailto:oncall'", "mailto:<address>",
    ),
    "two mail addresses in one": (
        production({"notify": ["mailto:a@shop.example,b@shop.example"]}), f"{P}.notify.0 is", "mailto:<address>",
    ),
    "a pager without encryption": (
        production({"notify": ["http://pager.example/key"]}), f"{P}.notify.0 is 'http://pager.example/key'", "https://",
    ),
    "a pager with a password": (
        production({"notify": ["https://a:b@pager.example"]}), f"{P}.notify.0 is", "https://<host>/<path>",
    ),
    "a telephone number without country": (
        production({"notify": ["sms:0301234567"]}), f"{P}.notify.0 is 'sms:0301234567'", "sms:+<country code",
    ),
    "a number in place of a recipient": (production({"notify": [5]}), f"{P}.notify.0 is 5", "or {to, topics}"),
    "a recipient in place of recipients": (
        production({"notify": "mailto:a@shop.example"}), f"{P}.notify is 'mailto:a@shop.example'", "allowed is a list",
    ),
    "a recipient of a topic that does not exist": (
        production({"notify": [{"to": "mailto:a@shop.example", "topics": ["critcal"]}]}),
        f"{P}.notify.0.topics.0 is 'critcal'", "did you mean 'critical'?",
    ),
    "a recipient of nothing": (
        production({"notify": [{"to": "mailto:a@shop.example", "topics": []}]}), f"{P}.notify.0.topics is empty",
        "at least 1",
    ),
    "a recipient without address": (
        production({"notify": [{"topics": ["critical"]}]}), f"{P}.notify.0.to is missing", "has no default",
    ),
    "one recipient twice": (
        production({"notify": ["mailto:a@shop.example", {"to": "mailto:A@shop.example"}]}),
        f"{P}.notify has mailto:A@shop.example for the topic critical more than once", "once for a topic",
    ),
    # names of AWS
    "an empty cluster": (attached({"cluster": ""}), f"{S}.cluster is empty", "an ECS cluster: its name or its ARN"),
    "a cluster with spaces": (attached({"cluster": "my cluster"}), f"{S}.cluster is 'my cluster'", "an ECS cluster"),
    "the ARN of something else": (
        attached({"cluster": f"arn:aws:ecs:{REGION}:{ACCOUNT}:service/shop/shop"}), f"{S}.cluster is", "an ECS cluster",
    ),
    "a service of another cluster": (
        attached({"ecs_service": f"arn:aws:ecs:{REGION}:{ACCOUNT}:service/other/shop"}),
        f"{S}.ecs_service is in cluster other", f"{S}.cluster is 'shop'",
    ),
    "an empty service": (attached({"ecs_service": ""}), f"{S}.ecs_service is empty", "an ECS service"),
    "an empty container": (attached({"container": ""}), f"{S}.container is ''", "as in the task definition"),
    "an execution role by its name": (
        attached({}, execution_role_arns=["execution"]), f"{S}.existing.execution_role_arns.0 is 'execution'",
        "arn:aws:iam::<account>:role/<name>",
    ),
    "a role of another account": (
        attached({}, HERE, execution_role_arns=["arn:aws:iam::999999999999:role/execution"]),
        f"{S}.existing.execution_role_arns.0 is an IAM role in account 999999999999", f"{P}.account is in {ACCOUNT}",
    ),
    "a role of another partition": (
        attached({}, HERE, execution_role_arns=[f"arn:aws-cn:iam::{ACCOUNT}:role/execution"]),
        f"{S}.existing.execution_role_arns.0 is an IAM role in partition aws-cn", f"{P}.region is in aws",
    ),
    "roles of two accounts": (
        attached({}, task_role_arns=["arn:aws:iam::999999999999:role/task"]),
        f"{S}.existing.execution_role_arns.0 is an IAM role in account {ACCOUNT}", "is in 999999999999",
    ),
    "a secret of another account": (
        attached({}, {**HERE, "database": {**DATABASE, "api_key_secret_arn": FOREIGN_SECRET}}),
        f"{P}.database.api_key_secret_arn is a secret of Secrets Manager in account", f"{P}.account is in {ACCOUNT}",
    ),
    "a secret of another region": (
        attached({}, {**HERE, "database": {**DATABASE, "api_key_secret_arn": DISTANT_SECRET}}),
        f"{P}.database.api_key_secret_arn is a secret of Secrets Manager in region us-west-1",
        f"{P}.region is in eu-west-1",
    ),
    "a workload's secret of another region": (
        production({**HERE, "services": [{"workload": {"secrets": {"URL": DISTANT_SECRET}}}]}),
        f"{S}.workload.secrets.URL is a secret of Secrets Manager in region us-west-1", f"{P}.region is in eu-west-1",
    ),
    "a target group by its short name": (
        attached({}, target_groups=["shop"]), f"{S}.existing.target_groups.0 is 'shop'", "targetgroup/<name>/",
    ),
    "a log group with a space": (attached({}, log_group="/my shop"), f"{S}.existing.log_group is", "a log group"),
    # places
    "a misspelt region": (
        production({**HERE, "region": "us-est-1", "availability_zones": ["us-est-1a", "us-est-1b"]}),
        f"{P}.region is 'us-est-1'", "did you mean us-",
    ),
    "a region without account": (
        attached({}, {"region": REGION}), f"{P}.region is 'eu-west-1' without account", "set both",
    ),
    "an account without region": (attached({}, {"account": ACCOUNT}), f"{P}.account is '{ACCOUNT}' without", "both"),
    "a short account": (attached({}, {**HERE, "account": "1234"}), f"{P}.account is '1234'", "\\d{12}"),
    "zones of another region": (
        attached({}, {**HERE, "availability_zones": ["us-east-1a"]}), f"{P}.availability_zones has us-east-1a",
        "zones of the region, eu-west-1",
    ),
    "a chat channel where the service is not": (
        attached(
            {},
            {
                "account": ACCOUNT, "region": "us-gov-west-1",
                "chat": {"slack_channel": {"workspace_id": "T0123ABCD", "channel_id": "C0123ABCD"}},
            },
            execution_role_arns=[f"arn:aws-us-gov:iam::{ACCOUNT}:role/execution"],
        ),
        f"{P}.chat.slack_channel is set, and us-gov-west-1 has no Amazon Q", "allowed is chat.webhook",
    ),
    # patterns
    "a JSON pattern that is not closed": (
        production({"alarms": {"error_log_pattern": '{ $.level = "error"'}}), f"{P}.alarms.error_log_pattern is",
        "{ is not closed by }",
    ),
    "a quote that is not closed": (
        attached({"error_log_pattern": '"fatal error'}), f"{S}.error_log_pattern is", 'a quote (") is not closed',
    ),
    "a pattern without selector": (
        attached({"error_log_pattern": '{ level = "error" }'}), f"{S}.error_log_pattern is", "begins with $",
    ),
    # keys
    "a misspelt setting": (
        production({"alarms": {"max_eror_rate_percent": 5}}), f"{P}.alarms.max_eror_rate_percent is not a setting",
        "did you mean max_error_rate_percent?",
    ),
    "a misspelt setting of a service": (
        attached({"base_ur": "https://shop.example"}), f"{S}.base_ur is not a setting", "did you mean base_url?",
    ),
    "a misspelt choice": (production({"policy": {"mode": "observ"}}), f"{P}.policy.mode is 'observ'", "did you mean"),
    "a required setting left out": (attached({"cluster": None}), f"{S}.cluster is missing", "has no default"),
    "no services": (
        {"environments": {"production": {"services": []}}}, f"{P}.services is empty", "at least 1",
    ),
    "text in place of services": (
        {"environments": {"production": {"services": "shop"}}}, f"{P}.services is 'shop'", "allowed is a list",
    ),
    "text in place of a service": (
        {"environments": {"production": {"services": ["shop"]}}}, f"{S} is 'shop'", "allowed is an object",
    ),
    "text in place of an environment": (
        {"environments": {"production": "yes"}}, f"{P} is 'yes'", "allowed is an object",
    ),
    # environments
    "an environment with a slash": (named("pr/12"), "environments.pr/12 is 'pr/12'", "[a-z]"),
    "an environment in capitals": (named("Prod EU"), "environments.Prod EU is 'Prod EU'", "[a-z]"),
    "an environment without name": (named(""), "environments. is empty", "[a-z]"),
    "environments that differ by case": (named("eu-west", "eu-West"), "environments.eu-West is", "[a-z]"),
    "environments that differ by a hyphen": (named("pr-1", "pr1"), "environments.pr-1 and environments.pr1", "rename"),
}  # fmt: skip
