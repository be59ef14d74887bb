"""The guard's metrics are those that the functions write, with the same dimensions."""

import inspect
from typing import Any

import pytest
from aws_cdk import Duration
from constructs.monitoring.test_dashboard import emitted

from rollback.domain.settings.environment import Settings
from rollback.errors import InvalidRequest
from rollback.names import METRIC_DAYS_SINCE_DRILL, METRIC_LATE_DELIVERIES
from rollback_constructs.metrics import RollbackMetrics

OF_ENVIRONMENT = frozenset({"Application", "Environment"})
# Written by the janitor alone, and drawn on no dashboard.
NOT_DRAWN = {(METRIC_LATE_DELIVERIES, OF_ENVIRONMENT), (METRIC_DAYS_SINCE_DRILL, OF_ENVIRONMENT | {"Service"})}
SERVICES = tuple(
    {"name": name, "cluster": "shop", "ecs_service": name, "container": "api"} for name in ("api", "worker")
)
METHODS = sorted(name for name, _ in inspect.getmembers(RollbackMetrics, inspect.isfunction) if name[0] != "_")


@pytest.fixture(scope="module")
def metrics() -> RollbackMetrics:
    return RollbackMetrics(
        Settings.model_validate({"application": "shop", "environment": "staging", "services": SERVICES})
    )


def parts(metric: Any) -> list[Any]:
    """The metric itself, or those of a sum."""
    return list(metric.using_metrics.values()) if hasattr(metric, "using_metrics") else [metric]


@pytest.mark.parametrize("name", METHODS)
def test_a_metric_is_one_that_the_functions_write(metrics: RollbackMetrics, name: str) -> None:
    for metric in parts(getattr(metrics, name)()):
        dimensions = dict(metric.dimensions)
        assert (metric.metric_name, frozenset(dimensions)) in emitted() | NOT_DRAWN
        assert (metric.namespace, dimensions["Application"], dimensions["Environment"]) == (
            "Rollback", "shop", "staging",
        )  # fmt: skip
        assert dimensions.get("Service", "api") == "api"
        assert dimensions.get("Type", "service") == "service"


def test_service_type_phase_and_period_are_chosen(metrics: RollbackMetrics) -> None:
    choice: dict[str, Any] = {"service": "worker", "rollback_type": "emergency", "period": Duration.minutes(5)}
    (act,) = parts(metrics.recovery_seconds(phase="act", statistic="p90", **choice))
    assert (act.metric_name, act.statistic, act.period.to_minutes()) == ("ActSeconds", "p90", 5)
    assert (act.dimensions["Service"], act.dimensions["Type"]) == ("worker", "emergency")


def test_an_unknown_service_or_type_is_refused(metrics: RollbackMetrics) -> None:
    with pytest.raises(InvalidRequest, match="service 'web' is not one of api, worker"):
        metrics.rollback_available(service="web")
    with pytest.raises(ValueError, match="'servcie' is not a valid RollbackType"):
        metrics.rollbacks(rollback_type="servcie")
