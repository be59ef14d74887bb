"""Each kind of service has the alarms that its metrics allow, and both composite alarms can fire."""

from typing import Any

import pytest
from support.wrong_settings import ACCOUNT, HERE, ID, REGION, attached

from rollback.domain.settings.watched import ExtraAlarm, Queue, Starts
from rollback.names import RATE_ALARMS, STATE_ALARMS, leaf_alarms
from rollback_constructs.limits import LimitExceeded
from rollback_constructs.settings.environment import Configuration

PREFIX = "shop-production"
GROUP = f"targetgroup/a/{ID}"
APPLICATION, NETWORK = f"app/shop/{ID}", f"net/shop/{ID}"
OF_TASKS = {"task-shortfall", "error-logs"}
OF_TARGETS = {"unhealthy-targets", "no-healthy-targets"}
OF_REQUESTS = {"error-rate", "latency", "near-total-errors"}
COMPOSITES = {"degraded", "outage"}
Resources = dict[str, dict[str, Any]]


def synthesise(settings: dict[str, Any] | None = None, **described: Any) -> Resources:
    """Synthesise the alarms of a service.

    Args:
        settings: settings of the alarms.
        described: attributes of the attachment.
    """
    from aws_cdk import App, Stack  # noqa: PLC0415 - this import starts Node, which needs the PATH that conftest sets
    from aws_cdk import aws_logs as logs  # noqa: PLC0415

    from rollback_constructs.alarms.service_alarms import AlarmSettings, ServiceAlarms  # noqa: PLC0415
    from rollback_constructs.attachment import Attachment  # noqa: PLC0415

    app = App(analytics_reporting=False, tree_metadata=False)
    stack = Stack(app, "Alarms")
    roles: dict[str, Any] = {"task_role_arns": (), "execution_role_arns": ()}
    parts: dict[str, Any] = {
        "cluster": "shop",
        "ecs_service": "api",
        "container": "app",
        "log_group": "/shop/api",
        **roles,
        **described,
    }
    ServiceAlarms(
        stack,
        "Service",
        prefix=PREFIX,
        environment="production",
        service=Attachment(name="api", **parts),
        settings=AlarmSettings(**(settings or {})),
        task_exits=logs.LogGroup.from_log_group_name(stack, "Exits", "/exits"),
    )
    resources: Resources = app.synth().get_stack_by_name("Alarms").template["Resources"]
    return resources


def alarms_in(resources: Resources) -> dict[str, dict[str, Any]]:
    """Return the properties of the alarms by their names without the service's."""
    return {
        resource["Properties"]["AlarmName"].removeprefix(f"{PREFIX}-api-"): resource["Properties"]
        for resource in resources.values()
        if "Alarm" in resource["Type"]
    }


def balancers(*described: tuple[str, bool]) -> dict[str, Any]:
    """Describe load balancers by name and whether they are shared, with a target group each."""
    from rollback_constructs.attachment import AttachedBalancer  # noqa: PLC0415

    return {
        "load_balancers": tuple(
            AttachedBalancer(name=name, target_groups=(f"targetgroup/{number}/{ID}",), is_shared=is_shared)
            for number, (name, is_shared) in enumerate(described)
        )
    }


def rule_of(alarm: dict[str, Any]) -> str:
    """Return the rule of a composite alarm with logical ids in place of ARNs."""
    rule = alarm["AlarmRule"]
    parts = [rule] if isinstance(rule, str) else rule["Fn::Join"][1]
    return "".join(part if isinstance(part, str) else part["Fn::GetAtt"][0] for part in parts)


def test_a_worker_has_alarms_on_its_tasks_its_log_and_its_failed_tasks() -> None:
    alarms = alarms_in(synthesise())
    assert set(alarms) == OF_TASKS | {"task-exits", "no-running-tasks"} | COMPOSITES
    assert "NoRunningTasks" in rule_of(alarms["outage"])
    assert rule_of(alarms["degraded"]).count("ALARM(") == 3
    assert (alarms["task-exits"]["Threshold"], alarms["task-exits"]["Period"]) == (3, 300)


def test_the_outage_of_a_worker_waits_until_tasks_had_time_to_start() -> None:
    alarm = alarms_in(synthesise({"shortfall_evaluation_periods": 7}))["no-running-tasks"]
    assert (alarm["EvaluationPeriods"], alarm["DatapointsToAlarm"]) == (7, 7)
    (expression,) = (query["Expression"] for query in alarm["Metrics"] if "Expression" in query)
    assert expression == "IF(desired >= 1, running)"  # without a desired task there is no data point
    assert (alarm["Threshold"], alarm["ComparisonOperator"]) == (1, "LessThanThreshold")


def test_a_service_behind_an_application_load_balancer_has_no_alarm_of_workers() -> None:
    for is_shared in (False, True):
        alarms = alarms_in(synthesise(**balancers((APPLICATION, is_shared))))
        assert set(alarms) == OF_TASKS | OF_TARGETS | OF_REQUESTS | COMPOSITES


@pytest.mark.parametrize("is_shared", [False, True])
def test_a_service_behind_a_network_load_balancer_has_no_alarm_on_requests(is_shared: bool) -> None:
    alarms = alarms_in(synthesise(**balancers((NETWORK, is_shared))))
    assert set(alarms) == OF_TASKS | OF_TARGETS | COMPOSITES
    for name, metric in (("unhealthy-targets", "UnHealthyHostCount"), ("no-healthy-targets", "HealthyHostCount")):
        assert (alarms[name]["Namespace"], alarms[name]["MetricName"]) == ("AWS/NetworkELB", metric)
    assert alarms["no-healthy-targets"]["TreatMissingData"] == "breaching"


def test_resets_count_on_a_network_load_balancer_of_the_services_own_alone() -> None:
    limit = {"max_target_resets_per_period": 50}
    own, shared = (alarms_in(synthesise(limit, **balancers((NETWORK, is_shared)))) for is_shared in (False, True))
    assert "target-resets" not in shared
    assert "target-resets" not in alarms_in(synthesise(limit, **balancers((APPLICATION, False))))
    alarm = own["target-resets"]
    assert (alarm["MetricName"], alarm["Threshold"]) == ("TCP_Target_Reset_Count", 50)
    assert alarm["Dimensions"] == [{"Name": "LoadBalancer", "Value": NETWORK}]
    assert "TargetResets" in rule_of(own["degraded"])


def test_several_load_balancers_have_alarms_each_and_an_outage_needs_all_of_their_targets_gone() -> None:
    alarms = alarms_in(synthesise(**balancers((APPLICATION, False), (f"app/internal/{ID}", True), (NETWORK, False))))
    requests = {f"{name}{number}" for name in OF_REQUESTS for number in ("", "-2")}
    targets = {f"{name}{number}" for name in OF_TARGETS for number in ("", "-2", "-3")}
    assert set(alarms) == OF_TASKS | requests | targets | COMPOSITES
    assert "NoHealthyTargets" in rule_of(alarms["outage"])
    assert rule_of(alarms["outage"]).count(" AND ") == 2
    assert set(leaf_alarms(PREFIX, "api", (*RATE_ALARMS, *STATE_ALARMS))) >= {
        f"{PREFIX}-api-{name}" for name in set(alarms) - COMPOSITES
    }


def test_a_token_has_no_name_to_read_so_the_attachment_says_that_it_is_a_network_load_balancer() -> None:
    from aws_cdk import Token  # noqa: PLC0415

    from rollback_constructs.attachment import AttachedBalancer  # noqa: PLC0415

    token = AttachedBalancer(name=Token.as_string({"Ref": "Balancer"}), target_groups=(GROUP,), is_network=True)
    assert set(alarms_in(synthesise(load_balancers=(token,)))) == OF_TASKS | OF_TARGETS | COMPOSITES
    assert AttachedBalancer(name=NETWORK, target_groups=(GROUP,)).is_network


def test_a_service_without_a_log_group_has_no_alarm_on_error_lines() -> None:
    resources = synthesise(log_group=None)
    assert "error-logs" not in alarms_in(resources)
    filters = [r for r in resources.values() if r["Type"] == "AWS::Logs::MetricFilter"]
    assert [f["Properties"]["LogGroupName"] for f in filters] == ["/exits"]


def test_a_service_behind_a_load_balancer_counts_failed_tasks_if_the_settings_have_a_limit() -> None:
    alarms = alarms_in(synthesise({"max_task_exits_per_period": 0}, **balancers((APPLICATION, False))))
    assert alarms["task-exits"]["Threshold"] == 0


def test_failed_tasks_are_counted_by_the_names_of_service_and_cluster() -> None:
    resources = synthesise()
    (pattern,) = (
        r["Properties"]["FilterPattern"]
        for r in resources.values()
        if r["Type"] == "AWS::Logs::MetricFilter" and r["Properties"]["LogGroupName"] == "/exits"
    )
    assert pattern == '{ ($.detail.group = "service:api") && ($.detail.clusterArn = "*:cluster/shop") }'


def test_each_queue_has_an_alarm_on_the_age_of_its_oldest_message() -> None:
    alarms = alarms_in(synthesise(queues=(Queue(queue="orders", max_age_seconds=60), Queue(queue="mails.fifo"))))
    ages = [alarms["queue-age"], alarms["queue-age-2"]]
    assert [(a["Dimensions"], a["Threshold"], a["Statistic"]) for a in ages] == [
        ([{"Name": "QueueName", "Value": "orders"}], 60, "Maximum"),
        ([{"Name": "QueueName", "Value": "mails.fifo"}], 300, "Maximum"),
    ]
    assert rule_of(alarms["degraded"]).count("QueueAge") == 2


def test_the_teams_alarms_fire_the_rollback_that_they_start() -> None:
    extras = tuple(
        ExtraAlarm(alarm=f"checkout {starts} (eu)", starts=starts)
        for starts in (Starts.SERVICE, Starts.EMERGENCY, Starts.EVIDENCE)
    )
    alarms = alarms_in(synthesise(extra_alarms=extras))
    assert 'ALARM("checkout service (eu)")' in rule_of(alarms["degraded"])
    assert 'ALARM("checkout emergency (eu)")' in rule_of(alarms["outage"])
    rules = rule_of(alarms["degraded"]) + rule_of(alarms["outage"])
    assert "checkout evidence" not in rules
    assert rules.count("checkout") == 2


def test_no_alarm_of_any_kind_treats_missing_data_as_missing() -> None:
    queues = (Queue(queue="orders"),)
    for described in ({}, balancers((NETWORK, False)), balancers((APPLICATION, True))):
        limits = {"max_target_resets_per_period": 1, "max_task_exits_per_period": 1}
        alarms = alarms_in(synthesise(limits, queues=queues, **described))
        treatments = {a["TreatMissingData"] for a in alarms.values() if "AlarmRule" not in a}
        assert treatments <= {"breaching", "notBreaching"}


@pytest.mark.parametrize(("count", "length", "part"), [(50, 250, "characters, CloudWatch allows 10240")])
def test_a_rule_that_cloudwatch_would_refuse_is_refused_by_number(count: int, length: int, part: str) -> None:
    extras = tuple(ExtraAlarm(alarm=f"{number:0{length}}") for number in range(count))
    with pytest.raises(LimitExceeded, match=part) as refusal:
        synthesise(extra_alarms=extras)
    assert f"{PREFIX}-api-degraded" in str(refusal.value)
    assert "shorten the list extra_alarms, which has 50" in str(refusal.value)


def test_the_settings_allow_no_more_than_cloudwatchs_100_alarms_in_a_rule() -> None:
    names = [f"app/b{number}/{ID}" for number in range(8)]
    most = balancers(*((name, False) for name in names))
    extras = tuple(ExtraAlarm(alarm=f"a{number}") for number in range(50))
    queues = tuple(Queue(queue=f"q{number}") for number in range(8))
    limits = {"max_target_resets_per_period": 1, "max_task_exits_per_period": 1}
    alarms = alarms_in(synthesise(limits, extra_alarms=extras, queues=queues, **most))
    assert rule_of(alarms["degraded"]).count("ALARM(") <= 100


def read(change: dict[str, Any], **existing: Any) -> Any:
    environment = Configuration.read(attached(change, HERE, **existing)).environments["production"]
    return environment.services[0]


def test_the_settings_of_a_worker_say_what_is_not_watched() -> None:
    worker = read({}, load_balancer=None, target_groups=None, log_group=None, repository=None)
    assert worker.is_worker
    runtime = worker.runtime_settings(None, "Stack")
    assert runtime.unwatched == ("log_group", "repository")
    assert runtime.load_balancer_shared is None
    assert read({}).runtime_settings(None, "Stack").unwatched == ()


def test_each_of_several_load_balancers_may_be_shared_or_not() -> None:
    described = [
        {"load_balancer": APPLICATION, "target_groups": [GROUP], "shared": False},
        {"load_balancer": NETWORK, "target_groups": [f"targetgroup/b/{ID}"]},
    ]
    service = read({}, load_balancer=None, target_groups=None, load_balancers=described)
    assert [service.is_shared(balancer) for balancer in service.existing.balancers] == [False, True]
    assert service.runtime_settings(None, "Stack").load_balancer_shared is True


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/proxy:1", "proxy"),
        (
            f"999999999999.dkr.ecr.{REGION}.amazonaws.com/proxy:1",
            f"arn:aws:ecr:{REGION}:999999999999:repository/proxy",
        ),
        (f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/proxy", f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/proxy"),
    ],
)
def test_a_repository_elsewhere_keeps_its_arn(text: str, name: str) -> None:
    existing = read({}, repository=text, sidecar_repositories=[text.replace("proxy", "agent")]).existing
    assert (existing.repository, existing.sidecar_repositories[0]) == (name, name.replace("proxy", "agent"))


@pytest.mark.parametrize(
    "text",
    [
        "orders.fifo",
        f"arn:aws:sqs:{REGION}:{ACCOUNT}:orders.fifo",
        f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/orders.fifo",
        f"https://{REGION}.queue.amazonaws.com/{ACCOUNT}/orders.fifo",
    ],
)
def test_each_form_of_a_queue_becomes_its_name(text: str) -> None:
    assert read({"queues": [{"queue": text}]}).queues == (Queue(queue="orders.fifo"),)


def test_the_arn_of_an_alarm_becomes_its_name() -> None:
    arn = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:checkout: slow (eu)"
    assert read({"extra_alarms": [{"alarm": arn}]}).extra_alarms == (ExtraAlarm(alarm="checkout: slow (eu)"),)
