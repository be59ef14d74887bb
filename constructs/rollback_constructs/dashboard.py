"""The dashboard of one environment: are we safe to deploy, what happened last, how long does recovery take.

Metrics with the dimension Type are found by SEARCH, so that a type without a rollback draws nothing. Syntax:
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/search-expression-syntax.html
"""

from collections.abc import Sequence

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from rollback.domain.phases import PHASES
from rollback.names import (
    METRIC_DATABASE_ANSWERS,
    METRIC_DATABASE_CONNECT,
    METRIC_DATABASE_FAILURES,
    METRIC_DATABASE_LATENCY,
    METRIC_DRILLS,
    METRIC_NAMESPACE,
    METRIC_ROLLBACK_AVAILABLE,
    METRIC_ROLLBACKS,
    METRIC_ROLLBACKS_ACTED,
    METRIC_ROLLBACKS_SUCCEEDED,
    METRIC_STALE_LEASES,
    METRIC_SWEEPS,
    metric_dimensions,
    phase_metric,
)
from rollback_constructs.alarms.queue_alarms import AGE, QUEUES
from rollback_constructs.alarms.task_alarms import INSIGHTS
from rollback_constructs.attachment import AttachedBalancer, Attachment

_DAY, _HOUR = Duration.days(1), Duration.hours(1)
_COLUMNS = 24
_HEIGHT = 6
_CONCLUSION_DIMENSIONS = "Application,Environment,Service,Type"


class RollbackDashboard(Construct):
    """Creates the dashboard `<prefix>-rollback`."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        prefix: str,
        application: str,
        environment: str,
        services: Sequence[Attachment],
        alarms: Sequence[cloudwatch.IAlarm],
        promotions: sfn.StateMachine,
        has_database: bool,
    ) -> None:
        super().__init__(scope, id_)
        self._dimensions, self._services = metric_dimensions(application, environment), services
        safe: list[cloudwatch.IWidget] = [
            self._readiness(),
            self._janitor(),
            *([self._database()] if has_database else []),
        ]
        rows: list[list[cloudwatch.IWidget]] = [
            [_title("Are we safe to deploy?")],
            [cloudwatch.AlarmStatusWidget(alarms=list(alarms), title="Alarms", width=_COLUMNS, height=4)],
            safe,
            [_title("What happened last?")],
            [self._rollbacks(), self._changes(promotions), self._availability(), *self._work()],
            [_title("How long does recovery take?")],
            [self._recovery(is_drill=False), self._recovery(is_drill=True)],
        ]
        self.dashboard = cloudwatch.Dashboard(self, "Dashboard", dashboard_name=f"{prefix}-rollback", widgets=rows)

    def _readiness(self) -> cloudwatch.GraphWidget:
        of_service = [
            self._metric(name, statistic, service.name)
            for service in self._services
            for name, statistic in ((METRIC_ROLLBACK_AVAILABLE, "Minimum"), (METRIC_STALE_LEASES, "Maximum"))
        ]
        return _graph("Rollback available (1 = yes), and stale leases", of_service)

    def _janitor(self) -> cloudwatch.GraphWidget:
        return _graph("Sweeps of the janitor an hour", [self._metric(METRIC_SWEEPS, "Sum")])

    def _database(self) -> cloudwatch.GraphWidget:
        answers = [self._metric(METRIC_DATABASE_ANSWERS, "Sum"), self._metric(METRIC_DATABASE_FAILURES, "Sum")]
        times = [self._metric(METRIC_DATABASE_CONNECT, "Average"), self._metric(METRIC_DATABASE_LATENCY, "Average")]
        return _graph("Database: answers (left), milliseconds to connect and to query (right)", answers, times)

    def _rollbacks(self) -> cloudwatch.GraphWidget:
        names = (METRIC_ROLLBACKS, METRIC_ROLLBACKS_SUCCEEDED, METRIC_ROLLBACKS_ACTED, METRIC_DRILLS)
        counts = [self._search(name, "Sum", "SUM", _DAY) for name in names]
        return _graph("Rollbacks and drills a day", counts, period=_DAY)

    def _changes(self, promotions: sfn.StateMachine) -> cloudwatch.GraphWidget:
        """Draw completed deployments, and the share of them that a rollback replaced.

        Each completed deployment starts an execution of the promotion. A rollback's own deployments are subtracted.
        """
        completed = promotions.metric_started(statistic="Sum", period=_DAY, label="completed deployments")
        acted = self._search(METRIC_ROLLBACKS_ACTED, "Sum", "SUM", _DAY)
        rate = cloudwatch.MathExpression(
            expression="IF(completed - acted > 0, 100 * acted / (completed - acted))",
            using_metrics={"completed": completed, "acted": acted},
            label="change failure rate (%)",
            period=_DAY,
        )
        success = cloudwatch.MathExpression(
            expression="IF(completed - acted > 0, 100 - 100 * acted / (completed - acted))",
            using_metrics={"completed": completed, "acted": acted},
            label="deployment success rate (%)",
            period=_DAY,
        )
        return _graph("Deployments a day, and the shares that failed and succeeded", [completed], [rate, success], _DAY)

    def _availability(self) -> cloudwatch.GraphWidget:
        return _graph(
            "Availability (% of requests without a 5xx)",
            [
                self._available_share(label, balancer, f"s{number}")
                for number, (label, balancer) in enumerate(self._application_balancers())
            ],
            period=Duration.minutes(5),
        )

    def _application_balancers(self) -> list[tuple[str, AttachedBalancer]]:
        """List the load balancers that count requests, each with the label of its line."""
        lines: list[tuple[str, AttachedBalancer]] = []
        for service in self._services:
            balancers = [balancer for balancer in service.balancers if not balancer.is_network]
            is_one = len(balancers) == 1
            lines += [
                (service.name if is_one else f"{service.name} {number}", balancer)
                for number, balancer in enumerate(balancers, start=1)
            ]
        return lines

    def _work(self) -> list[cloudwatch.GraphWidget]:
        """Draw what shows the work of services without requests: running tasks, and the age of queues."""
        period = Duration.minutes(5)
        tasks = [
            cloudwatch.Metric(
                namespace=INSIGHTS,
                metric_name="RunningTaskCount",
                statistic="Minimum",
                dimensions_map={"ClusterName": service.cluster, "ServiceName": service.ecs_service},
                period=period,
                label=f"{service.name} running tasks",
            )
            for service in self._services
            if all(balancer.is_network for balancer in service.balancers)
        ]
        ages = [
            cloudwatch.Metric(
                namespace=QUEUES,
                metric_name=AGE,
                statistic="Maximum",
                dimensions_map={"QueueName": queue.queue},
                period=period,
                label=f"{service.name} {queue.queue}",
            )
            for service in self._services
            for queue in service.queues
        ]
        title = "Services without requests: running tasks (left), seconds of the oldest message (right)"
        return [_graph(title, tasks, ages, period)] if tasks or ages else []

    def _available_share(self, label: str, balancer: AttachedBalancer, id_: str) -> cloudwatch.MathExpression:
        dimensions = {"LoadBalancer": balancer.name}
        names = {"RequestCount": "requests", "HTTPCode_Target_5XX_Count": "failed", "HTTPCode_ELB_5XX_Count": "refused"}
        metrics = {
            f"{id_}{short}": cloudwatch.Metric(
                namespace="AWS/ApplicationELB",
                metric_name=name,
                statistic="Sum",
                dimensions_map=dimensions,
                period=Duration.minutes(5),
            )
            for name, short in names.items()
        }
        # RequestCount leaves out the requests that the load balancer refused itself.
        total = f"({id_}requests + FILL({id_}refused, 0))"
        return cloudwatch.MathExpression(
            expression=f"100 * (1 - (FILL({id_}failed, 0) + FILL({id_}refused, 0)) / {total})",
            using_metrics=dict(metrics),
            label=label,
            period=Duration.minutes(5),
        )

    def _recovery(self, *, is_drill: bool) -> cloudwatch.GraphWidget:
        medians = [self._search(phase_metric(phase, is_drill=is_drill), "p50", "MAX", _DAY) for phase in PHASES]
        subject = "drills" if is_drill else "rollbacks"
        return _graph(f"Seconds by phase, median of the slowest kind of {subject} a day", medians, period=_DAY)

    def _search(self, name: str, statistic: str, combine: str, period: Duration) -> cloudwatch.MathExpression:
        of = " ".join(f'{dimension}="{value}"' for dimension, value in self._dimensions.items())
        schema = f"{{{METRIC_NAMESPACE},{_CONCLUSION_DIMENSIONS}}}"
        found = f"SEARCH('{schema} MetricName=\"{name}\" {of}', '{statistic}', {period.to_seconds():.0f})"
        return cloudwatch.MathExpression(expression=f"{combine}({found})", using_metrics={}, label=name, period=period)

    def _metric(self, name: str, statistic: str, service: str | None = None) -> cloudwatch.Metric:
        of_service = {"Service": service} if service is not None else {}
        return cloudwatch.Metric(
            namespace=METRIC_NAMESPACE,
            metric_name=name,
            statistic=statistic,
            dimensions_map={**self._dimensions, **of_service},
            period=_HOUR,
            label=f"{service} {name}" if service is not None else name,
        )


def _title(text: str) -> cloudwatch.TextWidget:
    return cloudwatch.TextWidget(markdown=f"# {text}", width=_COLUMNS, height=1)


def _graph(
    title: str,
    left: Sequence[cloudwatch.IMetric],
    right: Sequence[cloudwatch.IMetric] = (),
    period: Duration = _HOUR,
) -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(
        title=title, left=list(left), right=list(right), period=period, width=_COLUMNS // 3, height=_HEIGHT
    )
