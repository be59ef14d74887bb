"""Alarms on the rollback system itself: each way in which it can fail pages an operator."""

import json
from typing import Any

import pytest

PREFIX = "macro-ai-production"
EXECUTIONS = ("executions-failed", "executions-timed-out", "execution-throttled")
FUNCTIONS = ("decide", "service", "report", "promote")
FAILURES = {
    f"{PREFIX}-rollback-undelivered",
    f"{PREFIX}-rollback-failed-events",
    *(f"{PREFIX}-{machine}-{end}" for machine in ("rollback", "promotion", "release-watch") for end in EXECUTIONS),
    *(f"{PREFIX}-rollback-{function}-{kind}" for function in FUNCTIONS for kind in ("errors", "throttles")),
}
SILENT = f"{PREFIX}-rollback-janitor-silent"
FROM_THE_JANITOR = {
    f"{PREFIX}-express-api-stale-lease",
    f"{PREFIX}-express-api-no-rollback-target",
    f"{PREFIX}-rollback-late-deliveries",
}
NAMESPACES = {"AWS/States": "StateMachineArn", "AWS/Lambda": "FunctionName", "AWS/SQS": "QueueName"}

Alarm = dict[str, Any]
Template = dict[str, Any]


def resources(template: Template, kind: str) -> list[dict[str, Any]]:
    return [resource["Properties"] for resource in template["Resources"].values() if resource["Type"] == kind]


@pytest.fixture
def paging_alarms(templates: dict[str, Template]) -> dict[str, Alarm]:
    """Return the alarms that page an operator, by name."""
    alarms = resources(templates["MacroAiProductionRollbackStack"], "AWS::CloudWatch::Alarm")
    return {alarm["AlarmName"]: alarm for alarm in alarms if "AlarmActions" in alarm}


def test_each_way_in_which_the_system_can_fail_has_an_alarm(paging_alarms: dict[str, Alarm]) -> None:
    assert set(paging_alarms) == FAILURES | FROM_THE_JANITOR | {SILENT}


def test_each_alarm_publishes_to_the_critical_topic_on_alarm_only(paging_alarms: dict[str, Alarm]) -> None:
    for alarm in paging_alarms.values():
        (topic,) = alarm["AlarmActions"]
        assert "Critical" in topic["Ref"]
        assert not {"OKActions", "InsufficientDataActions"} & set(alarm)


def test_missing_data_is_ok_for_failures_breaching_for_the_janitor_and_ignored_for_its_findings(
    paging_alarms: dict[str, Alarm],
) -> None:
    assert {paging_alarms[name]["TreatMissingData"] for name in FAILURES} == {"notBreaching"}
    assert paging_alarms[SILENT]["TreatMissingData"] == "breaching"
    assert {paging_alarms[name]["TreatMissingData"] for name in FROM_THE_JANITOR} == {"ignore"}


def test_each_failure_alarm_is_about_one_state_machine_function_or_queue(paging_alarms: dict[str, Alarm]) -> None:
    subjects = set()
    for name in FAILURES:
        alarm = paging_alarms[name]
        (dimension,) = alarm["Dimensions"]
        assert dimension["Name"] == NAMESPACES[alarm["Namespace"]]
        subjects.add((alarm["MetricName"], json.dumps(dimension["Value"], sort_keys=True)))
    assert len(subjects) == len(FAILURES)


def test_the_alarms_on_the_janitors_metrics_use_the_names_that_the_janitor_writes(
    paging_alarms: dict[str, Alarm],
) -> None:
    def describe(name: str) -> tuple[Any, ...]:
        alarm = paging_alarms[name]
        dimensions = {d["Name"]: d["Value"] for d in alarm["Dimensions"]}
        dimension_values = (
            dimensions.pop("Application"),
            dimensions.pop("Environment"),
            dimensions.pop("Service", None),
        )
        assert not dimensions
        return (
            alarm["Namespace"],
            alarm["MetricName"],
            dimension_values,
            alarm["ComparisonOperator"],
            alarm["Threshold"],
        )

    below, above = "LessThanThreshold", "GreaterThanThreshold"
    on_service = ("macro-ai", "production", "express-api")
    assert describe(SILENT) == ("Rollback", "JanitorSweeps", ("macro-ai", "production", None), below, 1)
    assert describe(f"{PREFIX}-express-api-stale-lease") == ("Rollback", "StaleLeases", on_service, above, 0)
    target_alarm = f"{PREFIX}-express-api-no-rollback-target"
    assert describe(target_alarm) == ("Rollback", "RollbackAvailable", on_service, below, 1)
    late_alarm = f"{PREFIX}-rollback-late-deliveries"
    assert describe(late_alarm) == ("Rollback", "LateDeliveries", ("macro-ai", "production", None), above, 0)


def test_alarms_may_publish_on_the_critical_topic(templates: dict[str, Template]) -> None:
    template = templates["MacroAiProductionRollbackStack"]
    policies = [p["PolicyDocument"]["Statement"] for p in resources(template, "AWS::SNS::TopicPolicy")]
    allowed = [s for statements in policies for s in statements if s["Effect"] == "Allow"]
    (statement,) = allowed
    assert statement["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert statement["Action"] == "sns:Publish"
    assert "Critical" in statement["Resource"]["Ref"]
    assert f"alarm:{PREFIX}-*" in json.dumps(statement["Condition"]["ArnLike"]["aws:SourceArn"])
