"""CloudWatch alarms with their history, and the requests that reach target groups."""

from datetime import UTC, datetime, timedelta

from fakes.aws.request_models import check_request, refuse

from rollback.resources.aws.error_logs import ErrorLogCount
from rollback.resources.aws.traffic import TrafficMinute

_BEFORE_TESTS = datetime(2026, 3, 1, 2, 59, 30, tzinfo=UTC)  # half a minute before the tests' clock starts


TARGET_GROUP = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/express-api/0123456789abcdef"
_ALARMS_A_CALL = 100


class FakeAlarms:
    """Alarms by name; `fire` writes their history too, and `serve` counts requests.

    `target_groups`: those that ELB knows; `last_data`: metric alarms whose data ended, and when.
    `of_network_load_balancers`: target groups whose requests no load balancer counts.
    """

    def __init__(self, *in_alarm: str) -> None:
        self.target_groups = {TARGET_GROUP}
        self.of_network_load_balancers: set[str] = set()
        self.in_alarm = set(in_alarm)
        self.others: dict[str, str] = {}
        self.balancer_errors = 0.0  # in each minute
        self.muted: dict[str, tuple[str, ...]] = {}
        self.last_data: dict[str, datetime] = {}
        self._fired: list[tuple[str, datetime]] = []
        self._before: dict[str, str] = {}
        self._requests: list[tuple[str, datetime, float]] = []
        self._errors: list[tuple[str, datetime, float]] = []

    def fire(self, name: str, at: datetime, before: str = "OK") -> None:
        self.in_alarm.add(name)
        self._before[name] = before
        self._fired.append((name, at))

    def recover(self, name: str) -> None:
        self.in_alarm.discard(name)
        self.others[name] = "OK"

    def serve(self, target_group: str, count: float, at: datetime) -> None:
        """Count requests of a target group, which ELB knows from now on."""
        self.target_groups.add(target_group)
        self._requests.append((target_group, at, count))

    def is_in_alarm(self, name: str) -> bool:
        return name in self.in_alarm

    def states(self, names: tuple[str, ...]) -> dict[str, str]:
        self._check(names)
        known = {**self.others, **dict.fromkeys(self.in_alarm, "ALARM")}
        return {name: known[name] for name in names if name in known}

    def in_alarm_since(self, names: tuple[str, ...]) -> dict[str, datetime]:
        self._check(names)
        last = dict(sorted(self._fired, key=lambda fired: fired[1]))
        return {name: last.get(name, _BEFORE_TESTS) for name in names if name in self.in_alarm}

    def state_before(self, name: str, since: datetime) -> str | None:
        check_request("cloudwatch", "DescribeAlarmHistory", name, AlarmName=name, StartDate=since)
        return self._before[name] if any(one == name and at >= since for one, at in self._fired) else None

    def without_data(self, names: tuple[str, ...], since: datetime) -> tuple[str, ...]:
        self._check(names)
        return tuple(name for name in names if name in self.last_data and self.last_data[name] <= since)

    def mute_rules(self, name: str) -> tuple[str, ...]:
        check_request("cloudwatch", "ListAlarmMuteRules", name, AlarmName=name, Statuses=["ACTIVE"])
        return self.muted.get(name, ())

    def fired_since(self, names: tuple[str, ...], since: datetime) -> tuple[str, ...]:
        for name in names:
            check_request("cloudwatch", "DescribeAlarmHistory", name, AlarmName=name, StartDate=since)
        fired = {name for name, at in self._fired if at > since}
        return tuple(name for name in names if name in fired)

    def log(self, namespace: str, errors: float, at: datetime) -> None:
        """Count error lines in the minute of a time; zero lines are data too."""
        self._errors.append((namespace, at.replace(second=0, microsecond=0), errors))

    def error_logs_between(self, namespace: str, since: datetime, until: datetime) -> ErrorLogCount:
        found = [(at, errors) for name, at, errors in self._errors if name == namespace and since <= at < until]
        return ErrorLogCount(errors=sum(errors for _, errors in found), minutes_with_data=len({at for at, _ in found}))

    def requests_between(self, target_groups: tuple[str, ...], since: datetime, until: datetime) -> float | None:
        self._refuse_unknown(target_groups)
        if not self._counts_requests(target_groups):
            return None
        counts = [n for group, at, n in self._requests if group in target_groups and since <= at < until]
        return float(sum(counts))

    def requests_since(self, target_groups: tuple[str, ...], since: datetime) -> float | None:
        self._refuse_unknown(target_groups)
        if not self._counts_requests(target_groups):
            return None
        begin = since.replace(second=0, microsecond=0)
        return float(sum(count for group, at, count in self._requests if group in target_groups and at >= begin))

    def traffic(
        self, target_groups: tuple[str, ...], since: datetime, until: datetime, *, with_balancer_errors: bool
    ) -> tuple[TrafficMinute, ...] | None:
        self._refuse_unknown(target_groups)
        if not self._counts_requests(target_groups):
            return None
        begin = since.replace(second=0, microsecond=0)
        counted = [(at, count) for group, at, count in self._requests if group in target_groups and begin <= at < until]
        if not counted:
            return ()
        length = int((max(at for at, _ in counted) - begin) / timedelta(minutes=1)) + 1
        starts = [begin + timedelta(minutes=number) for number in range(length)]
        return tuple(
            TrafficMinute(
                at=start,
                requests=sum(count for at, count in counted if start <= at < start + timedelta(minutes=1)),
                balancer_errors=self.balancer_errors if with_balancer_errors else None,
            )
            for start in starts
        )

    @staticmethod
    def _check(names: tuple[str, ...]) -> None:
        for start in range(0, len(names), _ALARMS_A_CALL):
            some = list(names[start : start + _ALARMS_A_CALL])
            check_request("cloudwatch", "DescribeAlarms", ", ".join(some), AlarmNames=some)

    def _counts_requests(self, target_groups: tuple[str, ...]) -> bool:
        return not set(target_groups) <= self.of_network_load_balancers

    def _refuse_unknown(self, target_groups: tuple[str, ...]) -> None:
        for group in target_groups:
            if group not in self.target_groups:
                refuse("DescribeTargetGroups", group, "TargetGroupNotFound", "target group not found")
