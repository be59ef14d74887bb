"""Who watches the watcher: alarms on ourselves, each told to a person. They start nothing.

What is expected to be silent (errors, failures) is fine without data. The janitor is expected to be heard: its silence
breaches, also in the first minutes after a first deployment, which page once. What the janitor reports (leases, the
way back) keeps its state without news: to call silence good would end an alarm when the janitor dies, and to call it
bad would repeat the alarm on the silence.
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
    METRIC_NAMESPACE,
    METRIC_ROLLBACK_AVAILABLE,
    METRIC_STALE_LEASES,
    METRIC_SWEEPS,
    metric_dimensions,
)

_EXECUTIONS = {
    "ExecutionsFailed": "An execution failed; if it was no typo of a person's, the ledger has how far it came",
    "ExecutionsTimedOut": "An execution took longer than all its steps may take together",
    "ExecutionThrottled": "Step Functions slows executions down: ask for a higher quota of state transitions",
}
_ABOVE = cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD
_BELOW = cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD
_MISSING_IS_OK = cloudwatch.TreatMissingData.NOT_BREACHING
_MISSING_IS_ALARM = cloudwatch.TreatMissingData.BREACHING
_MISSING_KEEPS_STATE = cloudwatch.TreatMissingData.IGNORE


class WatchSettings(BaseModel):
    """When something is wrong with the rollback system itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    period_minutes: int = Field(default=5, ge=1, le=24 * 60, description="failures are summed up over")
    max_failed_executions: int = Field(default=0, ge=0, description="in a period; a person's typo fails one too")
    max_function_errors: int = Field(
        default=2, ge=0, description="in a period; a round of the janitor that fails is tried three times"
    )
    max_function_throttles: int = Field(default=0, ge=0, description="in a period")
    silent_rounds: int = Field(default=3, ge=1, description="rounds of the janitor that may stay away")
    stale_lease_rounds: int = Field(default=3, ge=1, description="rounds that find the same lease expired")
    no_way_back_rounds: int = Field(
        default=12, ge=1, description="rounds that find nothing to go back to; longer than a first release bakes"
    )

    @property
    def longest_rounds(self) -> int:
        """CloudWatch looks back a day at most, for periods below an hour."""
        return max(self.silent_rounds, self.stale_lease_rounds, self.no_way_back_rounds)


class Watch(Construct):
    """The alarms, in `alarms`; each tells the critical topic."""

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
        self._of = metric_dimensions(application, environment)
        self._settings, self._janitor, self._critical = settings, Duration.minutes(janitor_minutes), critical
        self.alarms: list[cloudwatch.Alarm] = []
        self._alarm_on_silent_janitor()
        for service in services:
            self._alarm_on_service(service)

    def machine(self, id_: str, machine: sfn.StateMachine, name: str) -> None:
        """Watch the executions of a state machine; `name` as in its ARN."""
        dimensions = {"StateMachineArn": machine.state_machine_arn}
        for metric, words in _EXECUTIONS.items():
            summed = self._metric("AWS/States", metric, "Sum", dimensions)
            limit = self._settings.max_failed_executions if metric == "ExecutionsFailed" else 0
            self._alarm(f"{id_}{metric}", f"{name}-{_hyphened(metric)}", words, summed, limit)

    def function(self, function: lambda_.Function) -> None:
        """Watch the invocations of a function."""
        name, path = function.function_name, function.node.id
        limits = {"Errors": self._settings.max_function_errors, "Throttles": self._settings.max_function_throttles}
        for metric, limit in limits.items():
            summed = self._metric("AWS/Lambda", metric, "Sum", {"FunctionName": name})
            words = f"{metric} of the function {path}: its log has why"
            short = f"{self._prefix}-rollback-{path.lower()}-{metric.lower()}"
            self._alarm(f"{path}{metric}", short, words, summed, limit)

    def _alarm_on_silent_janitor(self) -> None:
        sweeps = self._janitor_metric(METRIC_SWEEPS, "Sum", {})
        self._alarm(
            "JanitorSilent",
            f"{self._prefix}-rollback-janitor-silent",
            "The janitor was not heard: dead rollbacks stay open, and alarms that nobody answered stay unanswered",
            sweeps,
            1,
            comparison=_BELOW,
            periods=self._settings.silent_rounds,
            missing=_MISSING_IS_ALARM,
        )

    def _alarm_on_service(self, service: str) -> None:
        of = {"Service": service}
        self._alarm(
            f"StaleLease-{service}",
            f"{self._prefix}-{service}-stale-lease",
            f"A lease on {service} ran out, and neither its rollback nor the janitor gave it back",
            self._janitor_metric(METRIC_STALE_LEASES, "Maximum", of),
            0,
            periods=self._settings.stale_lease_rounds,
            missing=_MISSING_KEEPS_STATE,
        )
        self._alarm(
            f"NoWayBack-{service}",
            f"{self._prefix}-{service}-no-way-back",
            f"If {service} fails now, there is nothing to go back to: `rollback status {self._environment}` says why",
            self._janitor_metric(METRIC_ROLLBACK_AVAILABLE, "Maximum", of),
            1,
            comparison=_BELOW,
            periods=self._settings.no_way_back_rounds,
            missing=_MISSING_KEEPS_STATE,
        )

    def _janitor_metric(self, name: str, statistic: str, dimensions: dict[str, str]) -> cloudwatch.Metric:
        """One of our own, written once in each round of the janitor."""
        return self._metric(METRIC_NAMESPACE, name, statistic, {**self._of, **dimensions}, self._janitor)

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
        words: str,
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
            alarm_description=words,
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
