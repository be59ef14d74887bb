"""Conflicts of services: each name and each resource has one owner, or the settings say that it is shared."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rollback.names import degraded_alarm, outage_alarm
from rollback_constructs.settings.service import Service

if TYPE_CHECKING:
    from rollback_constructs.settings.environment import Environment


@dataclass(frozen=True)
class _ServiceInEnvironment:
    """One service, and the environment that describes it."""

    environment: str
    settings: "Environment"
    service: Service

    @property
    def path(self) -> str:
        return f"environments.{self.environment}.services.{self.service.name}"

    def may_share_account(self, other: "_ServiceInEnvironment") -> bool:
        """Return whether both may be in one account and region; a value that is not set may be the same."""
        pairs = (
            (self.settings.account, other.settings.account),
            (self.settings.region, other.settings.region),
        )
        return not any(value and other_value and value != other_value for value, other_value in pairs)

    @property
    def log_pattern(self) -> str:
        return self.service.error_log_pattern or self.settings.alarms.error_log_pattern


def find_conflicts(
    environments: "Mapping[str, Environment]", stacks_of: Callable[[str], tuple[str, str]]
) -> Iterator[str]:
    """Name each conflict of two services or two environments, in a line each.

    Args:
        environments: name → environment.
        stacks_of: environment → names of its stacks.
    """
    for name, other_name in itertools.combinations(environments, 2):
        if stacks_of(name) == stacks_of(other_name):
            stacks = ", ".join(stacks_of(name))
            both = f"environments.{name} and environments.{other_name}"
            yield f"{both} would create the same stacks, {stacks}; rename one of the environments"
    locations = [
        _ServiceInEnvironment(name, environment, service)
        for name, environment in environments.items()
        for service in environment.services
    ]
    for first, second in itertools.combinations(locations, 2):
        if first.may_share_account(second):
            yield from _find_conflicts(first, second)


def find_loops(application: str, environments: "Mapping[str, Environment]") -> Iterator[str]:
    """Name each composite alarm of ours that a service has as an alarm of the team's own.

    CloudWatch evaluates no alarm that depends on itself, and can't delete it (CloudWatch API reference,
    `PutCompositeAlarm`).
    """
    for name, environment in environments.items():
        prefix = f"{application}-{name}"
        ours = {alarm(prefix, s.name) for s in environment.services for alarm in (degraded_alarm, outage_alarm)}
        for service in environment.services:
            for number, extra in enumerate(service.extra_alarms):
                if extra.alarm in ours:
                    yield (
                        f"environments.{name}.services.{service.name}.extra_alarms.{number}.alarm is {extra.alarm!r}, "
                        "which this product creates; allowed is an alarm of the team's own"
                    )


def _find_conflicts(first: _ServiceInEnvironment, second: _ServiceInEnvironment) -> Iterator[str]:
    service, other, both = first.service, second.service, f"{first.path} and {second.path}"
    if (
        f"{first.environment}-{service.name}" == f"{second.environment}-{other.name}"
        and first.environment != second.environment
    ):
        yield f"{both} would give their alarms the same names, {first.environment}-{service.name}-…; rename one of them"
    if (service.cluster, service.ecs_service) == (other.cluster, other.ecs_service):
        yield f"{both} are the same ECS service, {service.cluster}/{service.ecs_service}; describe it once"
    for group in sorted(set(_target_groups(service)) & set(_target_groups(other))):
        yield f"{both} have the same target group, {group}; its metrics must be those of one service"
    if _log_group(service) and _log_group(service) == _log_group(other) and first.log_pattern == second.log_pattern:
        yield (
            f"{both} log to one group, {_log_group(service)}, and would count each other's errors; set an "
            "error_log_pattern for each that selects its own lines"
        )
    for queue in sorted({q.queue for q in service.queues} & {q.queue for q in other.queues}):
        yield f"{both} watch one queue, {queue}; its age must be evidence about one service: name it in one of them"
    for name in sorted(set(_balancers(service)) & set(_balancers(other))):
        for place in (first, second):
            setting, is_shared = _balancers(place.service)[name]
            if not is_shared:
                yield f"{place.path}.{setting} is false, but {both} use one load balancer, {name}; allowed is true"


def _balancers(service: Service) -> dict[str, tuple[str, bool]]:
    """Map each load balancer to the setting that says whether the load balancer is shared, and its value."""
    if service.existing is None:
        return {}
    return {
        balancer.load_balancer: (
            "load_balancer_shared" if balancer.shared is None else f"existing.load_balancers.{number}.shared",
            service.is_shared(balancer),
        )
        for number, balancer in enumerate(service.existing.balancers)
    }


def _target_groups(service: Service) -> tuple[str, ...]:
    if service.existing is None:
        return ()
    return tuple(group for balancer in service.existing.balancers for group in balancer.target_groups)


def _log_group(service: Service) -> str | None:
    if service.existing is not None:
        return service.existing.log_group
    return service.workload.log_group if service.workload is not None else None
