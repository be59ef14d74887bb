"""Costs that are counted from a template: each kind of charge, a further service, and the page about costs."""

import copy
from pathlib import Path
from typing import Any

import pytest
from constructs.conftest import _assembly, _templates
from previous_release.fixture import upgraded_context

from publishing.costs import Quantities, bill, count, main
from rollback_constructs.functions.sources import PROJECT

Template = dict[str, Any]
STACK = "MacroAiProductionRollbackStack"


def alarm(*periods: int, namespace: str = "AWS/ECS", metric: str = "Errors") -> dict[str, Any]:
    """Alarm on metric math over one metric for each period, beside its expression."""
    stats = [
        {"Id": f"m{index}", "MetricStat": {"Metric": {"Namespace": namespace, "MetricName": metric}, "Period": period}}
        for index, period in enumerate(periods)
    ]
    return {
        "Type": "AWS::CloudWatch::Alarm",
        "Properties": {"Metrics": [{"Id": "e", "Expression": "m0 + m1"}, *stats]},
    }


def test_an_alarm_on_metric_math_pays_for_each_metric_and_a_fast_one_more() -> None:
    simple = {
        "Type": "AWS::CloudWatch::Alarm",
        "Properties": {"Namespace": "Ours", "MetricName": "Sweeps", "Period": 300},
    }
    quantities = count({"Resources": {"a": alarm(60, 60), "b": alarm(10), "c": simple}})
    assert (quantities.alarms, quantities.metrics, quantities.fast_metrics) == (3, 3, 1)
    assert {item.name: round(item.monthly, 2) for item in bill(quantities)} == {
        "metrics watched by alarms": 0.30,
        "metrics watched below a minute": 0.30,
        "custom metrics that alarms watch": 0.30,
    }


def test_a_custom_metric_is_paid_once_however_many_alarms_watch_it() -> None:
    resources = {
        "a": alarm(60, namespace="Ours"),
        "b": alarm(60, namespace="Ours"),
        "c": alarm(60, namespace="Ours", metric="Age"),
        "d": alarm(60, namespace="ECS/ContainerInsights"),
    }
    assert count({"Resources": resources}).custom_metrics == 2


def test_a_function_on_a_schedule_pays_for_its_invocations_and_memory() -> None:
    function = {"Type": "AWS::Lambda::Function", "Properties": {"MemorySize": 512}}
    targets = [{"Arn": {"Fn::GetAtt": ["report", "Arn"]}}, {"Arn": {"Fn::GetAtt": ["queue", "Arn"]}}]
    rules = {
        "janitor": {"ScheduleExpression": "rate(5 minutes)", "Targets": targets},
        "weekly": {"ScheduleExpression": "cron(0 9 ? * TUE *)", "Targets": targets},
        "on-alarm": {"Targets": targets},
    }
    resources = {name: {"Type": "AWS::Events::Rule", "Properties": rule} for name, rule in rules.items()}
    quantities = count({"Resources": {**resources, "report": function, "queue": {"Type": "AWS::SQS::Queue"}}})
    assert (quantities.scheduled_invocations, quantities.scheduled_gb_seconds) == (8640, 8640.0)


@pytest.fixture(scope="module")
def further_service() -> Quantities:
    """Quantities of the second of two services that exist already, without those of the first."""
    one = upgraded_context("existing")
    two = copy.deepcopy(one)
    (first,) = two["environments"]["production"]["services"]
    second = copy.deepcopy(first)
    second |= {"name": "web", "ecs_service": "shop-web"}
    second["existing"] |= {
        "load_balancer": "app/web/1123456789abcdef",
        "target_groups": ["targetgroup/web/1123456789abcdef"],
        "log_group": "/aws/ecs/shop-web",
    }
    two["environments"]["production"]["services"] = [first, second]
    before, after = (count(_templates(_assembly(context))[STACK]) for context in (one, two))
    return Quantities(**{name: value - vars(before)[name] for name, value in vars(after).items()})


def test_the_page_names_the_costs_of_a_further_service(further_service: Quantities) -> None:
    page = (PROJECT / "docs" / "runbooks" / "costs.md").read_text()
    monthly = sum(item.monthly for item in bill(further_service))
    assert (
        f"| more services | {further_service.metrics} watched metrics in {further_service.alarms} alarms, "
        f"{further_service.composites} composite alarms and {further_service.custom_metrics} custom metrics each: "
        f"{monthly:.2f} |"
    ) in page


def test_the_script_prints_the_bill_of_each_stack(
    assembly: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["costs", str(assembly)])
    main()
    printed = capsys.readouterr().out
    assert [line for line in printed.splitlines() if line.endswith("RollbackStack")] == [
        f"MacroAi{name}RollbackStack" for name in ("Feature", "Production", "Staging")
    ]
    assert printed.count("together a month") == 3


def test_the_script_says_what_to_do_without_a_template(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["costs", str(tmp_path)])
    with pytest.raises(SystemExit, match="run `make synth` first"):
        main()
