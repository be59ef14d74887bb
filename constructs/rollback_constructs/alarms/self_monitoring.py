"""Alarms on the rollback system itself. Each alarm pages; none starts a rollback.

Metrics of errors and failures have no data while all is well, so missing data is not breaching. The janitor writes a
metric in each sweep, so missing data is breaching: the first minutes after a first deployment page once. The janitor
also writes leases and available targets; without data, their alarms keep their state. Missing data as not breaching
would end such an alarm when the janitor dies. As breaching it would repeat the alarm on the janitor.
"""

from collections.abc import Sequence

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct
from pydantic import BaseModel, ConfigDict, Field

from rollback.names import (
    METRIC_LATE_DELIVERIES,
    METRIC_NAMESPACE,
    METRIC_ROLLBACK_AVAILABLE,
    METRIC_STALE_LEASES,
    METRIC_SWEEPS,
    metric_dimensions,
)

_EXECUTIONS = {
    "ExecutionsFailed": ("An execution of the state machine {name} failed. Read the error in the execution. {advice}"),
    "ExecutionsTimedOut": (
        "An execution of the state machine {name} took longer than the limits of all its steps together. {advice}"
    ),
    "ExecutionThrottled": (
        "Step Functions throttles executions of the state machine {name}, so each execution takes longer. Request a "
        "higher quota of state transitions."
    ),
}
ADVICE_ON_ROLLBACKS = (
    "Run rollback history {environment} to see how far the rollback got. The janitor concludes the rollback."
)
ADVICE_ON_PROMOTIONS = (
    "Run rollback versions {environment} to see the states of the releases. The scheduled run of the promote function "
    "judges the running release again."
)
ADVICE_ON_WATCHES = (
    "A fresh release was not watched to the end, so the alarms alone are in charge. Run rollback status "
    "{environment} to check the release."
)
_FUNCTION_DESCRIPTIONS = {
    "Errors": "The Lambda function {name} failed. Read its log for the reason.",
    "Throttles": (
        "Lambda throttles the function {name}, so rollbacks wait. Raise its reserved concurrency or the quota."
    ),
}
_ABOVE = cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD
_BELOW = cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD
_MISSING_IS_OK = cloudwatch.TreatMissingData.NOT_BREACHING
_MISSING_IS_ALARM = cloudwatch.TreatMissingData.BREACHING
_MISSING_KEEPS_STATE = cloudwatch.TreatMissingData.IGNORE


class WatchSettings(BaseModel):
    """Limits beyond which something is wrong with the rollback system itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    period_minutes: int = Field(default=5, ge=1, le=24 * 60, description="period over which failures are summed")
    max_failed_executions: int = Field(
        default=0, ge=0, description="in a period; a mistyped input aborts its execution, and is not counted"
    )
    max_function_errors: int = Field(
        default=2, ge=0, description="in a period; Lambda tries a failing sweep of the janitor three times"
    )
    max_function_throttles: int = Field(default=0, ge=0, description="in a period")
    silent_sweeps: int = Field(default=3, ge=1, description="sweeps of the janitor that may be missing")
    stale_lease_sweeps: int = Field(default=3, ge=1, description="sweeps that find the same lease expired")
    late_delivery_sweeps: int = Field(default=3, ge=1, description="sweeps that find late deliveries")
    no_target_sweeps: int = Field(
        default=12, ge=1, description="sweeps that find no rollback target; longer than a first release bakes"
    )

    @property
    def most_sweeps(self) -> int:
        """The most sweeps that an alarm evaluates; CloudWatch evaluates a day at most, for periods below an hour."""
        return max(self.silent_sweeps, self.stale_lease_sweeps, self.no_target_sweeps, self.late_delivery_sweeps)


class SelfMonitoring(Construct):
    """Creates the alarms (`alarms`); each publishes to the critical topic."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        prefix: str,
        application: str,
        environment: str,
        services: Sequence[str],
        settings: WatchSettings,
        janitor_minutes: int,
        critical: sns.ITopic,
    ) -> None:
        super().__init__(scope, id_)
        self._prefix, self._environment = prefix, environment
        self._dimensions = metric_dimensions(application, environment)
        self._settings, self._janitor, self._critical = settings, Duration.minutes(janitor_minutes), critical
        self.alarms: list[cloudwatch.Alarm] = []
        self._alarm_on_silent_janitor()
        self._alarm_on_late_deliveries()
        for service in services:
            self._alarm_on_service(service)

    def watch_state_machine(self, id_: str, machine: sfn.StateMachine, name: str, advice: str) -> None:
        """Create alarms on the executions of a state machine.

        Args:
            id_: first part of the alarms' ids.
            machine: state machine to watch.
            name: name of the state machine, as in its ARN.
            advice: action for the operator, with `{environment}` in place of the environment's name.
        """
        dimensions = {"StateMachineArn": machine.state_machine_arn}
        action = advice.format(environment=self._environment)
        for metric, description in _EXECUTIONS.items():
            summed = self._metric("AWS/States", metric, "Sum", dimensions)
            limit = self._settings.max_failed_executions if metric == "ExecutionsFailed" else 0
            self._alarm(
                f"{id_}{metric}",
                f"{name}-{_hyphened(metric)}",
                description.format(name=name, advice=action),
                summed,
                limit,
            )

    def watch_function(self, function: lambda_.Function) -> None:
        """Create alarms on the invocations of a function."""
        path = function.node.id
        limits = {"Errors": self._settings.max_function_errors, "Throttles": self._settings.max_function_throttles}
        for metric, limit in limits.items():
            summed = self._metric("AWS/Lambda", metric, "Sum", {"FunctionName": function.function_name})
            name = f"{self._prefix}-rollback-{path.lower()}"
            self._alarm(
                f"{path}{metric}",
                f"{name}-{metric.lower()}",
                _FUNCTION_DESCRIPTIONS[metric].format(name=name),
                summed,
                limit,
            )

    def _alarm_on_silent_janitor(self) -> None:
        sweeps = self._janitor_metric(METRIC_SWEEPS, "Sum", {})
        self._alarm(
            "JanitorSilent",
            f"{self._prefix}-rollback-janitor-silent",
            "The janitor has not run. Until it runs, interrupted rollbacks stay open, and alarms without a rollback "
            f"stay unanswered. Read the log of the function {self._prefix}-rollback-report.",
            sweeps,
            1,
            comparison=_BELOW,
            periods=self._settings.silent_sweeps,
            missing=_MISSING_IS_ALARM,
        )

    def _alarm_on_late_deliveries(self) -> None:
        self._alarm(
            "LateDeliveries",
            f"{self._prefix}-rollback-late-deliveries",
            "Events, statuses or chat messages about rollbacks are due for more than 15 minutes. The rollbacks "
            f"themselves are not affected. Run rollback status {self._environment} for the channel and its error.",
            self._janitor_metric(METRIC_LATE_DELIVERIES, "Maximum", {}),
            0,
            periods=self._settings.late_delivery_sweeps,
            missing=_MISSING_KEEPS_STATE,
        )

    def _alarm_on_service(self, service: str) -> None:
        dimensions = {"Service": service}
        self._alarm(
            f"StaleLease-{service}",
            f"{self._prefix}-{service}-stale-lease",
            f"The lease on {service} expired, and neither its rollback nor the janitor released the lease. The "
            f"rollback may be unfinished. Run rollback status {self._environment}. If no process runs the rollback, "
            f"run rollback unlock {self._environment} --service {service} --reason '...'.",
            self._janitor_metric(METRIC_STALE_LEASES, "Maximum", dimensions),
            0,
            periods=self._settings.stale_lease_sweeps,
            missing=_MISSING_KEEPS_STATE,
        )
        self._alarm(
            f"NoRollbackTarget-{service}",
            f"{self._prefix}-{service}-no-rollback-target",
            f"{service} has no release to roll back to: if it fails now, a rollback is refused. Run rollback status "
            f"{self._environment} for the reason.",
            self._janitor_metric(METRIC_ROLLBACK_AVAILABLE, "Maximum", dimensions),
            1,
            comparison=_BELOW,
            periods=self._settings.no_target_sweeps,
            missing=_MISSING_KEEPS_STATE,
        )

    def _janitor_metric(self, name: str, statistic: str, dimensions: dict[str, str]) -> cloudwatch.Metric:
        """Return one of our own metrics, which the janitor writes once in each sweep."""
        return self._metric(METRIC_NAMESPACE, name, statistic, {**self._dimensions, **dimensions}, self._janitor)

    def _metric(
        self, namespace: str, name: str, statistic: str, dimensions: dict[str, str], period: Duration | None = None
    ) -> cloudwatch.Metric:
        return cloudwatch.Metric(
            namespace=namespace,
            metric_name=name,
            statistic=statistic,
            dimensions_map=dimensions,
            period=period or Duration.minutes(self._settings.period_minutes),
        )

    def _alarm(
        self,
        id_: str,
        name: str,
        description: str,
        metric: cloudwatch.Metric,
        threshold: float,
        *,
        comparison: cloudwatch.ComparisonOperator = _ABOVE,
        periods: int = 1,
        missing: cloudwatch.TreatMissingData = _MISSING_IS_OK,
    ) -> None:
        alarm = cloudwatch.Alarm(
            self,
            id_,
            alarm_name=name,
            alarm_description=description,
            metric=metric,
            threshold=threshold,
            comparison_operator=comparison,
            evaluation_periods=periods,
            treat_missing_data=missing,
        )
        alarm.add_alarm_action(actions.SnsAction(self._critical))
        self.alarms.append(alarm)


def _hyphened(name: str) -> str:
    """`ExecutionsTimedOut` → `executions-timed-out`."""
    return "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("-")
