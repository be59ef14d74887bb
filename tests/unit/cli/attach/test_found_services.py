"""Services as they are: each kind becomes settings that synth accepts, and the page says what is left out."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from fakes.running_service import ACCOUNT, REGION, FakeRunningService, arn, image, role

from rollback.errors import InvalidRequest
from rollback_cli.attach import cdk_json
from rollback_cli.attach.description.page import Target, page
from rollback_cli.attach.description.section import Section, describe
from rollback_cli.attach.found import Found
from rollback_cli.attach.look_up import look_up
from rollback_cli.attach.names import ServiceName, service_label
from rollback_cli.attach.reading import Reader
from rollback_constructs.settings.environment import Configuration

NAME = ServiceName("shop-live", "Checkout_API")
OTHER_ACCOUNT = "999999999999"


def find(aws: FakeRunningService, container: str | None = None) -> Found:
    return look_up(Reader(aws), NAME, container)


def section_of(found: Found, base_url: str | None = None) -> Section:
    return describe(found, service_label(None, found.ecs_service), base_url)


def described(aws: FakeRunningService, base_url: str | None = None) -> dict[str, Any]:
    """Return the service's settings, after synth's reader has accepted them."""
    section = section_of(find(aws), base_url)
    assert section.blockers == ()
    document = cdk_json.merge({}, "production", section.service, section.environment)
    Configuration.read(document["context"])
    return dict(section.service)


def left_out(aws: FakeRunningService) -> str:
    return "\n".join(f"{one.subject}: {one.reason}" for one in section_of(find(aws)).left_out)


def questions(aws: FakeRunningService) -> dict[str, Any]:
    """Map each question to the settings that its answer adds."""
    return {decision.question: decision.snippet for decision in section_of(find(aws)).decisions}


def page_of(aws: FakeRunningService) -> str:
    found = find(aws)
    target = Target("production", "MacroAiProductionRollbackStack")
    return page(found, section_of(found), target, datetime(2026, 3, 1, 3, 0, tzinfo=UTC))


def test_a_service_behind_an_application_load_balancer() -> None:
    aws = FakeRunningService()
    aws.service["tags"] = [{"key": "aws:cloudformation:stack-name", "value": "shop"}]
    assert described(aws) == {
        "name": "checkout-api",
        "cluster": "shop-live",
        "ecs_service": "Checkout_API",
        "container": "web",
        "stack": "shop",
        "load_balancer_shared": False,
        "base_url": "http://front.elb.amazonaws.com",
        "endpoints": [{"path": "/health"}],
        "existing": {
            "load_balancer": "app/front/0000000000000000",
            "target_groups": ["targetgroup/front/0000000000000000"],
            "task_role_arns": [role("work")],
            "execution_role_arns": [role("pull")],
            "log_group": "/shop/checkout",
            "repository": "team/checkout",
        },
    }


def test_only_reading_operations_are_called() -> None:
    aws = FakeRunningService()
    find(aws)
    assert {operation for operation in aws.calls if not operation.startswith(("Describe", "List", "Get"))} == set()


def test_a_new_environment_only_observes_in_the_services_account_and_region() -> None:
    section = section_of(find(FakeRunningService()))
    assert section.environment == {"account": ACCOUNT, "region": REGION, "policy": {"mode": "observe"}}


def test_a_worker_has_no_load_balancer_and_no_checks_by_http() -> None:
    aws = FakeRunningService()
    aws.without_balancer()
    settings = described(aws)
    assert not {"base_url", "endpoints", "load_balancer_shared"} & settings.keys()
    assert not {"load_balancer", "target_groups", "load_balancers"} & settings["existing"].keys()
    assert "no load balancer belongs to the service" in left_out(aws)
    assert "Which alarm says that the worker does not do its work?" in questions(aws)


def test_a_network_load_balancer_is_named_and_its_missing_metrics_are_told() -> None:
    aws = FakeRunningService()
    aws.balancers, aws.groups, aws.listeners = {}, {}, {}
    aws.without_balancer()
    aws.add_balancer("edge", "net")
    settings = described(aws)
    assert settings["existing"]["load_balancer"] == "net/edge/0000000000000000"
    assert "base_url" not in settings
    assert "a Network Load Balancer counts no answers" in left_out(aws)


def test_several_load_balancers_are_each_named_with_their_groups() -> None:
    aws = FakeRunningService()
    aws.add_balancer("inside", "net", internal=True)
    existing = described(aws)["existing"]
    assert existing["load_balancers"] == [
        {"load_balancer": "app/front/0000000000000000", "target_groups": ["targetgroup/front/0000000000000000"],
         "shared": False},
        {"load_balancer": "net/inside/0000000000000001", "target_groups": ["targetgroup/inside/0000000000000001"],
         "shared": False},
    ]  # fmt: skip
    assert "load_balancer" not in existing


def test_a_gateway_load_balancer_is_left_out() -> None:
    aws = FakeRunningService()
    aws.add_balancer("appliance", "gwy")
    assert described(aws)["existing"]["load_balancer"] == "app/front/0000000000000000"
    assert "gwy/appliance" in left_out(aws)


def test_a_shared_load_balancer_is_not_said_to_be_the_services_own() -> None:
    aws = FakeRunningService()
    (listener,) = aws.listeners[aws.only_balancer]
    aws.add_rule(listener["ListenerArn"], arn("elasticloadbalancing", "targetgroup/other/1"), paths=("/other/*",))
    assert "load_balancer_shared" not in described(aws)
    assert "shared with other target groups" in page_of(aws)


def test_a_load_balancer_that_answers_with_errors_by_itself_is_not_exclusive() -> None:
    aws = FakeRunningService()
    listener = aws.add_listener(aws.only_balancer, "HTTP", 8080, None)
    assert described(aws)["load_balancer_shared"] is False
    fixed = [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "503"}}]
    aws.add_rule(listener, aws.only_group, hosts=("old.example.com",), Actions=fixed)
    assert "load_balancer_shared" not in described(aws)
    assert "answers with errors of its own" in page_of(aws)


def test_an_internal_load_balancer_is_probed_only_after_a_decision() -> None:
    aws = FakeRunningService()
    aws.balancers[aws.only_balancer]["Scheme"] = "internal"
    assert "base_url" not in described(aws)
    placement = questions(aws)["Shall the functions probe the internal load balancer?"]
    assert placement["functions"]["probes_in_vpc"]["private_subnet_ids"] == ["subnet-0a1b2c3d"]


def test_a_target_group_without_load_balancer_is_left_out() -> None:
    aws = FakeRunningService()
    aws.groups[aws.only_group]["LoadBalancerArns"] = []
    assert "load_balancer" not in described(aws)["existing"]
    assert "no load balancer forwards to it" in left_out(aws)


def test_a_classic_load_balancer_is_left_out() -> None:
    aws = FakeRunningService()
    aws.service["loadBalancers"] = [{"loadBalancerName": "old", "containerName": "web", "containerPort": 80}]
    assert "Classic Load Balancer" in left_out(aws)
    described(aws)


def test_the_roles_of_older_revisions_are_named_and_those_of_other_families_are_not() -> None:
    aws = FakeRunningService()
    aws.add_definition("checkout", aws.containers, executionRoleArn=role("new-pull"))
    aws.add_definition("checkout-worker", aws.containers, executionRoleArn=role("foreign"))
    aws.service["taskDefinition"] = arn("ecs", "task-definition/checkout:2")
    assert described(aws)["existing"]["execution_role_arns"] == [role("new-pull"), role("pull")]


def test_a_service_without_execution_role_is_accepted() -> None:
    aws = FakeRunningService()
    for definition in aws.definitions.values():
        del definition["executionRoleArn"]
    assert "execution_role_arns" not in described(aws)["existing"]
    assert "no revision of the task definition names an execution role" in left_out(aws)


Change = Callable[[FakeRunningService], None]


def _log_driver(driver: str) -> Change:
    def change(aws: FakeRunningService) -> None:
        aws.containers[0]["logConfiguration"] = {"logDriver": driver, "options": {}}

    return change


def _no_logs(aws: FakeRunningService) -> None:
    del aws.containers[0]["logConfiguration"]


def _logs_elsewhere(aws: FakeRunningService) -> None:
    aws.containers[0]["logConfiguration"]["options"]["awslogs-region"] = "us-east-1"


def _rare_logs(aws: FakeRunningService) -> None:
    aws.log_groups["/shop/checkout"] = "INFREQUENT_ACCESS"


def _missing_group(aws: FakeRunningService) -> None:
    aws.log_groups.clear()


def _shared_group(aws: FakeRunningService) -> None:
    aws.add_definition("cart", [aws.container("web", image("team/cart"))])
    aws.add_service("cart", "cart:1")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_log_driver("awsfirelens"), "logs by `awsfirelens`"),
        (_log_driver("splunk"), "logs by `splunk`"),
        (_no_logs, "has no log configuration"),
        (_logs_elsewhere, "is in us-east-1"),
        (_rare_logs, "INFREQUENT_ACCESS"),
        (_missing_group, "does not exist yet"),
        (_shared_group, "is shared with `cart`"),
    ],
)
def test_a_log_group_that_cannot_give_evidence_is_left_out_with_its_reason(change: Change, reason: str) -> None:
    aws = FakeRunningService()
    change(aws)
    assert "log_group" not in described(aws)["existing"]
    assert reason in left_out(aws)


def test_sidecars_are_named_by_name_here_and_by_uri_elsewhere() -> None:
    aws = FakeRunningService()
    aws.repositories.add(("agent", OTHER_ACCOUNT))
    aws.containers += [
        aws.container("proxy", image("team/proxy"), essential=False),
        aws.container("agent", image("agent", account=OTHER_ACCOUNT), essential=False),
        aws.container("far", image("far", region="us-east-1"), essential=False),
        aws.container("otel", "public.ecr.aws/otel:1", essential=False),
        aws.container("init", image("team/checkout", "init"), essential=False),
    ]
    existing = described(aws)["existing"]
    assert existing["repository"] == "team/checkout"
    assert existing["sidecar_repositories"] == [
        "team/proxy",
        f"{OTHER_ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/agent",
        f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/far",
    ]
    told = left_out(aws)
    assert "`public.ecr.aws/otel:1` is not in a private ECR repository" in told
    assert f"protection of images of `{OTHER_ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/agent` from expiry" in told
    assert "images of `" in told
    assert "has no such repository any more" in told  # team/proxy was deleted


def test_an_image_of_another_registry_has_no_repository() -> None:
    aws = FakeRunningService()
    aws.containers[0]["image"] = "docker.io/team/checkout:v1"
    assert "repository" not in described(aws)["existing"]
    assert "so its expiry can't be judged" in left_out(aws)


def test_a_tag_that_moves_is_a_decision() -> None:
    aws = FakeRunningService()
    assert "Which tag names a version?" not in questions(aws)
    aws.containers[0]["image"] = image("team/checkout", "latest")
    assert "Which tag names a version?" in questions(aws)


def test_the_container_of_the_load_balancer_names_the_version_among_several_essential_ones() -> None:
    aws = FakeRunningService()
    aws.containers.insert(0, aws.container("proxy", image("team/proxy")))
    assert find(aws).container.name == "web"
    aws.without_balancer()
    with pytest.raises(InvalidRequest, match="add --container NAME"):
        find(aws)
    assert find(aws, "proxy").container.name == "proxy"
    with pytest.raises(InvalidRequest, match="the task definition has proxy, web"):
        find(aws, "weeb")


def test_names_of_variables_are_told_and_their_values_are_not() -> None:
    aws = FakeRunningService()
    aws.containers[0]["environment"] += [{"name": "DATABASE_URL", "value": "postgres://u:hunter2@neon.tech"}]
    aws.containers[0]["secrets"] = [{"name": "PGPASSWORD", "valueFrom": arn("ssm", "parameter/x")}]
    text = page_of(aws)
    assert "The container has `DATABASE_URL`, `PGPASSWORD`." in text
    assert "hunter2" not in text


def test_queues_in_variables_are_offered() -> None:
    aws = FakeRunningService()
    url = f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/orders"
    aws.containers[0]["environment"] += [{"name": "QUEUE_URL", "value": url}]
    assert questions(aws)["Which queues does the service consume?"] == {
        "queues": [{"queue": url, "max_age_seconds": 300}]
    }


def test_alarms_of_the_deployments_are_offered() -> None:
    aws = FakeRunningService()
    aws.service["deploymentConfiguration"]["alarms"] = {"alarmNames": ["slow"], "enable": True, "rollback": True}
    snippet = questions(aws)["Shall your own alarms start a rollback?"]
    assert snippet == {"extra_alarms": [{"alarm": "slow", "starts": "service"}]}


SNIPPETS = (
    "Which queues does the service consume?",
    "Shall your own alarms start a rollback?",
    "Which endpoints must answer after a rollback?",
    "Where is the git commit of a release?",
    "Which lines of the shared log group are this service's errors?",
    "Do users reach the service by another name?",
)


def test_every_offered_setting_of_the_service_is_accepted_by_synth() -> None:
    aws = FakeRunningService()
    _shared_group(aws)
    aws.service["deploymentConfiguration"]["alarms"] = {"alarmNames": ["slow"], "enable": True, "rollback": True}
    url = f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/orders"
    aws.containers[0]["environment"] = [{"name": "QUEUE_URL", "value": url}]
    settings, offered = described(aws), questions(aws)
    for question in SNIPPETS:
        snippet = dict(offered[question])
        existing = {**settings["existing"], **snippet.pop("existing", {})}
        settings = {**settings, **snippet, "existing": existing}
    document = cdk_json.merge({}, "production", settings, section_of(find(aws)).environment)
    Configuration.read(document["context"])


def test_the_offered_placement_of_the_functions_is_accepted_by_synth() -> None:
    aws = FakeRunningService()
    aws.balancers[aws.only_balancer]["Scheme"] = "internal"
    offered = questions(aws)
    settings = {**described(aws), **offered["At which address do the functions probe?"]}
    environment = {
        **section_of(find(aws)).environment,
        **offered["Shall the functions probe the internal load balancer?"],
    }
    document = cdk_json.merge({}, "production", settings, environment)
    Configuration.read(document["context"])


def test_container_insights_that_are_off_are_a_decision_with_the_command() -> None:
    aws = FakeRunningService()
    assert "Shall Container Insights be on?" not in questions(aws)
    aws.clusters["shop-live"] = [{"name": "containerInsights", "value": "disabled"}]
    decisions = section_of(find(aws)).decisions
    (command,) = [one.command for one in decisions if one.question == "Shall Container Insights be on?"]
    assert command is not None
    assert "--cluster shop-live" in command


def test_scaling_capacity_providers_and_the_circuit_breaker_are_on_the_page() -> None:
    aws = FakeRunningService()
    del aws.service["launchType"]
    aws.service["capacityProviderStrategy"] = [{"capacityProvider": "FARGATE_SPOT", "weight": 1}]
    aws.service["deploymentConfiguration"]["deploymentCircuitBreaker"] = {"enable": True, "rollback": True}
    aws.scalable_targets = [{"MinCapacity": 2, "MaxCapacity": 9}]
    aws.scaling_policies = [{"PolicyName": "cpu"}]
    text = page_of(aws)
    assert "capacity providers `FARGATE_SPOT`" in text
    assert "circuit breaker on, with rollback" in text
    assert "2 to 9 tasks, 1 policies, 0 scheduled actions" in text


def test_the_stack_of_a_service_without_tags_is_found_by_its_arn() -> None:
    aws = FakeRunningService()
    assert "stack" not in described(aws)
    aws.owners[aws.service["serviceArn"]] = "shop"
    assert described(aws)["stack"] == "shop"


def test_services_of_the_cluster_that_share_family_and_repository_are_named() -> None:
    aws = FakeRunningService()
    aws.add_service("canary", "checkout:1")
    text = page_of(aws)
    assert "family with `canary`" in text
    assert "repository with `canary`" in text


def test_a_large_cluster_is_compared_in_part_and_the_page_says_so() -> None:
    aws = FakeRunningService()
    for number in range(103):
        aws.add_service(f"service-{number:03}", "checkout:1")
    assert "100 of 103 were compared" in page_of(aws)


UNREADABLE = {
    "ListTaskDefinitions": "ecs:ListTaskDefinitions",
    "DescribeClusters": "ecs:DescribeClusters",
    "ListServices": "ecs:ListServices",
    "DescribeListeners": "elasticloadbalancing:DescribeListeners",
    "DescribeRules": "elasticloadbalancing:DescribeRules",
    "DescribeLogGroups": "logs:DescribeLogGroups",
    "DescribeRepositories": "ecr:DescribeRepositories",
    "DescribeScalableTargets": "application-autoscaling:DescribeScalableTargets",
    "DescribeStackResources": "cloudformation:DescribeStackResources",
}


@pytest.mark.parametrize("operation", UNREADABLE)
def test_a_part_that_may_not_be_read_is_told_with_its_permission(operation: str) -> None:
    aws = FakeRunningService()
    aws.denied.add(operation)
    described(aws)
    assert f"`{UNREADABLE[operation]}`: access denied" in page_of(aws)


@pytest.mark.parametrize("operation", ["DescribeListeners", "DescribeRules"])
def test_unread_listeners_make_no_claim_about_sharing_and_address(operation: str) -> None:
    aws = FakeRunningService()
    aws.denied.add(operation)
    assert not {"load_balancer_shared", "base_url", "endpoints"} & described(aws).keys()
    assert "sharing not read" in page_of(aws)


@pytest.mark.parametrize("operation", ["DescribeTargetGroups", "DescribeLoadBalancers"])
def test_a_service_whose_load_balancer_may_not_be_read_is_no_worker(operation: str) -> None:
    aws = FakeRunningService()
    aws.denied.add(operation)
    section = section_of(find(aws))
    assert "could not be read: without it the service would be watched as a worker" in section.blockers[0]
    assert "## Not complete" in page_of(aws)


def test_a_deleted_target_group_blocks_the_section() -> None:
    aws = FakeRunningService()
    aws.service["loadBalancers"].append({"targetGroupArn": arn("elasticloadbalancing", "targetgroup/gone/1")})
    assert section_of(find(aws)).blockers


def test_names_from_aws_forge_no_lines_and_no_cells_of_the_page() -> None:
    aws = FakeRunningService()
    aws.containers[0]["image"] = "x\n## Forged | y ```"
    text = page_of(aws)
    assert "\n## Forged" not in text
    assert all(line.count("|") - line.count("\\|") == 3 for line in text.splitlines() if line.startswith("|"))
