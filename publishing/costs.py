"""Monthly costs of the stacks in `cdk.out`, counted from their templates: run `make costs`.

Counted is what a template fixes, whatever happens: alarms, dashboards, metrics and keys, and the janitor's invocations.
What depends on use (rollbacks, logs, requests) is estimated in docs/runbooks/costs.md.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Template = Mapping[str, Any]
PRICES_OF = "2026-11-28, US East (N. Virginia), US dollars, without free tiers"
# https://aws.amazon.com/cloudwatch/pricing/
_METRIC_OF_ALARM, _METRIC_OF_FAST_ALARM, _COMPOSITE_ALARM, _DASHBOARD, _CUSTOM_METRIC = 0.10, 0.30, 0.50, 3.00, 0.30
_KEY = 1.00  # https://aws.amazon.com/kms/pricing/
# https://aws.amazon.com/lambda/pricing/ (Arm): a request, and a GB-second
_INVOCATION, _GB_SECOND = 0.20 / 1_000_000, 0.0000133334
_MINUTES_OF_MONTH = 30 * 24 * 60
_SWEEP_SECONDS = 2.0  # an estimate: docs/runbooks/costs.md
_STANDARD_PERIOD_SECONDS = 60  # an alarm with a shorter period is a high-resolution alarm


@dataclass(frozen=True)
class Item:
    """One row of a bill.

    Attributes:
        quantity: number of what is paid, as text.
        monthly: US dollars.
    """

    name: str
    quantity: str
    monthly: float


@dataclass(frozen=True)
class Quantities:
    """Counts of the charges of CloudWatch, Lambda and KMS. An alarm on metric math counts each of its metrics."""

    alarms: int
    metrics: int
    fast_metrics: int
    composites: int
    dashboards: int
    custom_metrics: int
    functions: int
    scheduled_invocations: float
    scheduled_gb_seconds: float
    keys: int


def count(template: Template) -> Quantities:
    """Count a template."""
    alarms = list(_of_type(template, "AWS::CloudWatch::Alarm"))
    schedules = list(_schedules(template))
    return Quantities(
        alarms=len(alarms),
        metrics=sum(_metrics(alarm) for alarm in alarms if not _is_fast(alarm)),
        fast_metrics=sum(_metrics(alarm) for alarm in alarms if _is_fast(alarm)),
        composites=len(list(_of_type(template, "AWS::CloudWatch::CompositeAlarm"))),
        dashboards=len(list(_of_type(template, "AWS::CloudWatch::Dashboard"))),
        custom_metrics=len(_custom_metrics(template)),
        functions=len(list(_of_type(template, "AWS::Lambda::Function"))),
        scheduled_invocations=sum(times for times, _ in schedules),
        scheduled_gb_seconds=sum(times * _SWEEP_SECONDS * memory_mib / 1024 for times, memory_mib in schedules),
        keys=len(list(_of_type(template, "AWS::KMS::Key"))),
    )


def bill(quantities: Quantities) -> list[Item]:
    """Return the rows of a month."""
    q = quantities
    invocations = q.scheduled_invocations * _INVOCATION + q.scheduled_gb_seconds * _GB_SECOND
    items = [
        Item("metrics watched by alarms", f"{q.metrics} in {q.alarms} alarms", q.metrics * _METRIC_OF_ALARM),
        Item("metrics watched below a minute", str(q.fast_metrics), q.fast_metrics * _METRIC_OF_FAST_ALARM),
        Item("composite alarms", str(q.composites), q.composites * _COMPOSITE_ALARM),
        Item("dashboards", str(q.dashboards), q.dashboards * _DASHBOARD),
        Item("custom metrics that alarms watch", str(q.custom_metrics), q.custom_metrics * _CUSTOM_METRIC),
        Item("scheduled invocations of functions", f"{q.scheduled_invocations:,.0f}", invocations),
        Item("KMS keys", str(q.keys), q.keys * _KEY),
    ]
    return [item for item in items if item.monthly]


def _of_type(template: Template, kind: str) -> Iterator[Mapping[str, Any]]:
    for resource in template["Resources"].values():
        if resource["Type"] == kind:
            yield resource.get("Properties", {})


def _metric_stats(alarm: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    stats = [entry["MetricStat"] for entry in alarm.get("Metrics", ()) if "MetricStat" in entry]
    return stats or [{"Metric": alarm, "Period": alarm.get("Period", _STANDARD_PERIOD_SECONDS)}]


def _metrics(alarm: Mapping[str, Any]) -> int:
    return len(_metric_stats(alarm))


def _is_fast(alarm: Mapping[str, Any]) -> bool:
    return min(int(stat["Period"]) for stat in _metric_stats(alarm)) < _STANDARD_PERIOD_SECONDS


def _custom_metrics(template: Template) -> set[str]:
    """Collect the metrics outside AWS's namespaces that the alarms watch, by namespace, name and dimensions."""
    metrics = (stat["Metric"] for a in _of_type(template, "AWS::CloudWatch::Alarm") for stat in _metric_stats(a))
    return {
        json.dumps([metric["Namespace"], metric["MetricName"], metric.get("Dimensions")], sort_keys=True)
        for metric in metrics
        if not re.match(r"AWS/|ECS/ContainerInsights", str(metric.get("Namespace", "AWS/")))
    }


def _schedules(template: Template) -> Iterator[tuple[float, int]]:
    """Yield how often a month a rule on a rate invokes a function, and the function's memory in MiB."""
    for rule in _of_type(template, "AWS::Events::Rule"):
        rate = re.fullmatch(r"rate\((\d+) minutes?\)", str(rule.get("ScheduleExpression")))
        for target in rule.get("Targets", ()) if rate else ():
            reference = target["Arn"].get("Fn::GetAtt", [""])[0]
            function = template["Resources"].get(reference, {})
            if rate is not None and function.get("Type") == "AWS::Lambda::Function":
                yield _MINUTES_OF_MONTH / int(rate[1]), int(function["Properties"].get("MemorySize", 128))


def main() -> None:
    """Print the bill of each rollback stack in the folder that the command line names."""
    folder = Path(sys.argv[1])
    files = sorted(folder.glob("*RollbackStack.template.json"))
    if not files:
        raise SystemExit(f"{folder} has no template of a rollback stack: run `make synth` first")
    sys.stdout.write(f"Prices of {PRICES_OF}. Not counted: rollbacks, logs, requests, the service itself.\n")
    for file in files:
        items = bill(count(json.loads(file.read_text())))
        sys.stdout.write(f"\n{file.name.removesuffix('.template.json')}\n")
        for item in items:
            sys.stdout.write(f"  {item.name:36} {item.quantity:>20} {item.monthly:8.2f}\n")
        sys.stdout.write(f"  {'together a month':36} {'':>20} {sum(item.monthly for item in items):8.2f}\n")


if __name__ == "__main__":
    main()
