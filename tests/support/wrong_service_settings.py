"""Wrong settings of services as they are: workers, several load balancers, queues, alarms of the team's own."""

from collections.abc import Mapping
from typing import Any

from support.wrong_settings import ACCOUNT, ELB, HERE, ID, REGION, Context, P, S, attached, production

A, B = f"targetgroup/a/{ID}", f"targetgroup/b/{ID}"


def several(*balancers: Mapping[str, Any]) -> Context:
    """Describe production by one service with these load balancers."""
    return attached({}, load_balancer=None, target_groups=None, load_balancers=list(balancers))


def balancer(name: str, *groups: str) -> dict[str, Any]:
    """Describe one of several load balancers."""
    return {"load_balancer": name, "target_groups": list(groups)}


# Name of the case → context, path of the setting, and a part of what is said to be allowed.
WRONG_SERVICES: dict[str, tuple[Context, str, str]] = {
    "a repository with a capital": (
        attached({}, HERE, repository=f"999999999999.dkr.ecr.{REGION}.amazonaws.com/team/Api"),
        f"{S}.existing.repository is", "an ECR repository: its name, URI or ARN",
    ),
    "a sidecar's repository by its image": (
        attached({}, sidecar_repositories=["public.ecr.aws/aws-observability/collector:latest"]),
        f"{S}.existing.sidecar_repositories.0 is 'public.ecr.aws/", "an ECR repository: its name, URI or ARN",
    ),
    "a sidecar's repository twice": (
        attached({}, HERE, sidecar_repositories=["proxy", f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/proxy"]),
        f"{S}.existing.sidecar_repositories has proxy twice", "each once",
    ),
    "a gateway load balancer": (
        attached({}, load_balancer=f"gwy/shop/{ID}"), f"{S}.existing.load_balancer is", "stands before appliances",
    ),
    "a load balancer by its short name": (
        attached({}, load_balancer="shop"), f"{S}.existing.load_balancer is 'shop'", "net/<name>/",
    ),
    "a load balancer without target groups": (
        attached({}, target_groups=None), f"{S}.existing.target_groups is empty", f"load_balancer, app/shop/{ID}",
    ),
    "target groups without load balancer": (
        attached({}, load_balancer=None), f"{S}.existing.load_balancer is missing", f"targetgroup/shop/{ID}",
    ),
    "one and several load balancers": (
        attached({}, load_balancers=[balancer(f"app/b/{ID}", B)]),
        f"{S}.existing.load_balancers is set beside load_balancer", "one of the two",
    ),
    "one of several load balancers by its short name": (
        several(balancer("shop", B)), f"{S}.existing.load_balancers.0.load_balancer is 'shop'", "app/<name>/",
    ),
    "one of several load balancers without target groups": (
        several(balancer(f"app/b/{ID}")), f"{S}.existing.load_balancers.0.target_groups is empty", "at least 1",
    ),
    "one of several load balancers with a misspelt key": (
        several({**balancer(f"app/b/{ID}", B), "share": True}),
        f"{S}.existing.load_balancers.0.share is not a setting", "did you mean shared?",
    ),
    "a load balancer twice": (
        several(balancer(f"app/b/{ID}", A), balancer(f"{ELB}loadbalancer/app/b/{ID}", B)),
        f"{S}.existing.load_balancers has app/b/{ID} twice", "each load balancer once",
    ),
    "a target group behind two load balancers": (
        several(balancer(f"app/a/{ID}", A), balancer(f"net/b/{ID}", A)),
        f"{S}.existing.load_balancers has {A} twice", "each target group once",
    ),
    "more target groups than leaf alarms": (
        several(*(balancer(f"app/{n}/{ID}", *(f"targetgroup/{n}{m}/{ID}" for m in range(5))) for n in "ab")),
        f"{S}.existing.load_balancers has 10 target groups", "at most 8 together",
    ),
    "a share of no load balancer": (
        attached({"load_balancer_shared": True}, load_balancer=None, target_groups=None),
        f"{S}.load_balancer_shared is set", "names no load balancer",
    ),
    "error lines without a log group": (
        attached({"error_log_pattern": "ERROR"}, log_group=None), f"{S}.error_log_pattern is set",
        "set existing.log_group",
    ),
    "a queue with a space": (
        attached({"queues": [{"queue": "my orders"}]}), f"{S}.queues.0.queue is 'my orders'",
        "an SQS queue: its name, URL or ARN",
    ),
    "a queue with a name of 81 characters": (
        attached({"queues": [{"queue": "q" * 76 + ".fifo"}]}), f"{S}.queues.0.queue is", "an SQS queue",
    ),
    "a queue without a name": (attached({"queues": [{}]}), f"{S}.queues.0.queue is missing", "has no default"),
    "a queue by a text": (attached({"queues": ["orders"]}), f"{S}.queues.0 is 'orders'", "an object"),
    "a queue of another region": (
        attached({"queues": [{"queue": f"https://sqs.us-east-1.amazonaws.com/{ACCOUNT}/orders"}]}, HERE),
        f"{S}.queues.0.queue is an SQS queue in region us-east-1", f"{P}.region is in {REGION}",
    ),
    "a queue of another account": (
        attached({"queues": [{"queue": f"arn:aws:sqs:{REGION}:999999999999:orders"}]}, HERE),
        f"{S}.queues.0.queue is an SQS queue in account 999999999999", f"{P}.account is in {ACCOUNT}",
    ),
    "a queue twice": (
        attached({"queues": [{"queue": "a"}, {"queue": f"arn:aws:sqs:{REGION}:{ACCOUNT}:a"}]}, HERE),
        f"{S}.queues has a twice", "each queue once",
    ),
    "nine queues": (
        attached({"queues": [{"queue": f"q{number}"} for number in range(9)]}), f"{S}.queues is a list of 9",
        "at most 8",
    ),
    "an age of no seconds": (
        attached({"queues": [{"queue": "a", "max_age_seconds": 0}]}), f"{S}.queues.0.max_age_seconds is 0",
        "at least 1",
    ),
    "an alarm without a name": (
        attached({"extra_alarms": [{"alarm": ""}]}), f"{S}.extra_alarms.0.alarm is empty", "a CloudWatch alarm",
    ),
    "an alarm whose name ends its rule": (
        attached({"extra_alarms": [{"alarm": 'checkout "slow"'}]}), f"{S}.extra_alarms.0.alarm is", "rename the alarm",
    ),
    "an alarm of another account": (
        attached({"extra_alarms": [{"alarm": f"arn:aws:cloudwatch:{REGION}:999999999999:alarm:slow"}]}, HERE),
        f"{S}.extra_alarms.0.alarm is a CloudWatch alarm in account 999999999999", f"{P}.account is in {ACCOUNT}",
    ),
    "an alarm that starts something else": (
        attached({"extra_alarms": [{"alarm": "slow", "starts": "emergancy"}]}),
        f"{S}.extra_alarms.0.starts is 'emergancy'", "did you mean 'emergency'?",
    ),
    "an alarm twice": (
        attached({"extra_alarms": [{"alarm": "slow"}, {"alarm": "slow", "starts": "evidence"}]}),
        f"{S}.extra_alarms has slow twice", "each alarm once",
    ),
    "a composite of this product as the team's alarm": (
        attached({"extra_alarms": [{"alarm": "macro-ai-production-shop-degraded"}]}),
        f"{P}.services.shop.extra_alarms.0.alarm is 'macro-ai-production-shop-degraded'", "an alarm of the team's own",
    ),
    "a list that synth derives": (attached({"unwatched": ["log_group"]}), f"{S}.unwatched is set", "remove"),
    "fewer exits than none": (
        production({"alarms": {"max_task_exits_per_period": -1}}), f"{P}.alarms.max_task_exits_per_period is -1",
        "at least 0",
    ),
}  # fmt: skip
