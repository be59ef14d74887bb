"""The dashboard draws exactly the metrics that the code emits; the database's alarms page and start nothing."""

import io
import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from support.builders import rollback

from rollback.adapters.aws.reporting.metrics import LoggedMetrics
from rollback.domain.phases import PHASES
from rollback.domain.request import Trigger
from rollback.names import phase_metric
from rollback.resources.database.probe import DatabaseProbe

Template = dict[str, Any]
Drawn = set[tuple[str, frozenset[str]]]
_SEARCH = re.compile(r"SEARCH\('\{Rollback,([A-Za-z,]+)\} MetricName=\"(\w+)\"")
ALARMS = {
    "macro-ai-production-rollback-database-unreachable": ("DatabaseConnectionFailures", 0, 2, 300),
    "macro-ai-production-rollback-database-slow": ("DatabaseLatencyMilliseconds", 1000, 3, 3600),
}


def resources_of(template: Template, kind: str) -> list[dict[str, Any]]:
    return [resource["Properties"] for resource in template["Resources"].values() if resource["Type"] == kind]


def body_of(template: Template) -> dict[str, Any]:
    """Return the dashboard's body; references to other resources become the text `TOKEN`."""
    (dashboard,) = resources_of(template, "AWS::CloudWatch::Dashboard")
    body = dashboard["DashboardBody"]
    parts = body["Fn::Join"][1] if isinstance(body, dict) else [body]
    parsed: dict[str, Any] = json.loads("".join(part if isinstance(part, str) else "TOKEN" for part in parts))
    return parsed


def series(body: dict[str, Any]) -> list[list[Any]]:
    return [entry for widget in body["widgets"] for entry in widget["properties"].get("metrics", ())]


def drawn(body: dict[str, Any]) -> Drawn:
    """List the metrics of our own namespace that the dashboard draws, each with the names of its dimensions."""
    found: Drawn = set()
    for entry in series(body):
        if entry[0] == "Rollback":
            names = [part for part in entry[2:] if isinstance(part, str)]
            found.add((entry[1], frozenset(names[::2])))
        elif isinstance(entry[0], dict):
            found |= {(name, frozenset(of.split(","))) for of, name in _SEARCH.findall(entry[0]["expression"])}
    return found


def emitted() -> Drawn:
    """List the metrics that the adapter writes; the durations of phases are those of every phase."""
    out = io.StringIO()
    metrics = LoggedMetrics("macro-ai", "production", out)
    metrics.record_sweep()
    metrics.record_readiness("express-api", is_rollback_available=True, stale_leases=0)
    metrics.record_conclusion(rollback())
    metrics.record_conclusion(rollback(trigger=Trigger.DRILL))
    metrics.record_database(
        DatabaseProbe(
            branch="b", at=datetime.now(UTC), has_answered=True, connect_milliseconds=40, query_milliseconds=3
        )
    )
    found: Drawn = set()
    for line in map(json.loads, out.getvalue().splitlines()):
        (directive,) = line["_aws"]["CloudWatchMetrics"]
        (dimensions,) = directive["Dimensions"]
        found |= {(metric["Name"], frozenset(dimensions)) for metric in directive["Metrics"]}
    of_conclusions = frozenset({"Application", "Environment", "Service", "Type"})
    return found | {
        (phase_metric(phase, is_drill=drill), of_conclusions) for phase in PHASES for drill in (True, False)
    }


def test_the_dashboard_draws_exactly_the_metrics_that_the_code_emits(database_templates: dict[str, Template]) -> None:
    assert drawn(body_of(database_templates["MacroAiProductionRollbackStack"])) == emitted()


def test_without_a_database_no_metric_of_it_is_drawn_and_no_alarm_watches_it(templates: dict[str, Template]) -> None:
    template = templates["MacroAiProductionRollbackStack"]
    of_database = {metric for metric in emitted() if metric[0].startswith("Database")}
    assert drawn(body_of(template)) == emitted() - of_database
    assert not [a for a in resources_of(template, "AWS::CloudWatch::Alarm") if "database" in a["AlarmName"]]


def test_the_widgets_fit_into_the_grid_and_have_the_members_that_cloudwatch_requires(
    database_templates: dict[str, Template],
) -> None:
    """Structure: CloudWatch user guide, "Dashboard body structure and syntax"."""
    body = body_of(database_templates["MacroAiProductionRollbackStack"])
    assert len(body["widgets"]) <= 500
    required = {"text": {"markdown"}, "metric": {"region", "metrics", "view"}, "alarm": {"alarms"}}
    cells: set[tuple[int, int]] = set()
    for widget in body["widgets"]:
        assert required[widget["type"]] <= widget["properties"].keys()
        assert widget["x"] >= 0
        assert widget["x"] + widget["width"] <= 24
        assert 1 <= widget["height"] <= 1000
        own = {(widget["x"] + x, widget["y"] + y) for x in range(widget["width"]) for y in range(widget["height"])}
        assert not cells & own
        cells |= own


def test_the_rows_answer_three_questions_in_this_order(templates: dict[str, Template]) -> None:
    body = body_of(templates["MacroAiProductionRollbackStack"])
    titles = [w["properties"]["markdown"] for w in body["widgets"] if w["type"] == "text"]
    assert titles == ["# Are we safe to deploy?", "# What happened last?", "# How long does recovery take?"]


def test_every_expression_names_only_series_of_its_own_widget(database_templates: dict[str, Template]) -> None:
    for widget in body_of(database_templates["MacroAiProductionRollbackStack"])["widgets"]:
        entries = widget["properties"].get("metrics", ())
        ids = [entry[-1]["id"] for entry in entries if isinstance(entry[-1], dict) and "id" in entry[-1]]
        assert len(ids) == len(set(ids))
        for entry in entries:
            if isinstance(entry[0], dict):
                outside_text = re.sub(r"'[^']*'", "", entry[0]["expression"])
                assert set(re.findall(r"\b[a-z]\w*\b", outside_text)) <= set(ids)


@pytest.mark.parametrize("name", ALARMS)
def test_a_database_alarm_pages_keeps_its_state_without_data_and_starts_nothing(
    name: str, database_templates: dict[str, Template]
) -> None:
    template = database_templates["MacroAiProductionRollbackStack"]
    (alarm,) = [a for a in resources_of(template, "AWS::CloudWatch::Alarm") if a["AlarmName"] == name]
    described = (alarm["MetricName"], alarm["Threshold"], alarm["EvaluationPeriods"], alarm["Period"])
    assert described == ALARMS[name]
    assert alarm["TreatMissingData"] == "ignore"
    (action,) = alarm["AlarmActions"]
    assert "Critical" in action["Ref"]
    rules = json.dumps(resources_of(template, "AWS::Events::Rule"))
    assert name not in rules


def test_the_service_function_traces_no_calls_of_ports(templates: dict[str, Template]) -> None:
    functions = resources_of(templates["MacroAiProductionRollbackStack"], "AWS::Lambda::Function")
    traced_off = {
        function["FunctionName"]
        for function in functions
        if "POWERTOOLS_TRACE_DISABLED" in function.get("Environment", {}).get("Variables", {})
    }
    assert traced_off == {"macro-ai-production-rollback-service"}
