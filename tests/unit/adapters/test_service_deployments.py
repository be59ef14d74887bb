"""The newest service deployment is found among those since the oldest deployment with tasks, not among 90 days."""

from datetime import timedelta
from typing import Any

from support.builders import NOW

from rollback.adapters.aws.ecs.service_deployments import list_recent_deployments
from rollback.domain.settings.environment import ServiceSettings

SERVICE = ServiceSettings(name="api", cluster="c", ecs_service="s", container="app")


class Ecs:
    """Answer ListServiceDeployments with deployments that are this many days old, one on each page."""

    def __init__(self, *days_ago: float) -> None:
        self.created = [NOW - timedelta(days=age) for age in days_ago]
        self.filters: list[Any] = []

    def list_service_deployments(self, **arguments: Any) -> dict[str, Any]:
        if "nextToken" not in arguments:
            self.filters.append(arguments.get("createdAt"))
        after = (arguments.get("createdAt") or {}).get("after")
        matches = [created for created in self.created if after is None or created > after]
        position = int(arguments.get("nextToken") or 0)
        page = [{"createdAt": created} for created in matches[position : position + 1]]
        return {"serviceDeployments": page, **({"nextToken": str(position + 1)} if position + 1 < len(matches) else {})}


def service_answer(*days_ago: float) -> dict[str, Any]:
    return {"deployments": [{"createdAt": NOW - timedelta(days=age)} for age in days_ago]}


def ages_in_days(deployments: list[Any]) -> list[float]:
    return [(NOW - deployment["createdAt"]) / timedelta(days=1) for deployment in deployments]


def test_deployments_older_than_the_tasks_are_not_listed() -> None:
    ecs = Ecs(*range(90))
    assert ages_in_days(list_recent_deployments(ecs, SERVICE, service_answer(0))) == [0]  # type: ignore[arg-type]
    assert len(ecs.filters) == 1


def test_the_oldest_deployment_with_tasks_begins_the_window() -> None:
    ecs = Ecs(30.5, 0, 60)
    assert ages_in_days(list_recent_deployments(ecs, SERVICE, service_answer(0, 30))) == [30.5, 0]  # type: ignore[arg-type]


def test_the_window_widens_until_a_deployment_is_listed() -> None:
    """A rollback that took longer than a day makes a PRIMARY that is younger than its service deployment."""
    ecs = Ecs(9)
    assert ages_in_days(list_recent_deployments(ecs, SERVICE, service_answer(0))) == [9]  # type: ignore[arg-type]
    assert len(ecs.filters) == 2


def test_all_service_deployments_of_a_service_without_deployments_are_listed() -> None:
    ecs = Ecs(80)
    assert ages_in_days(list_recent_deployments(ecs, SERVICE, {})) == [80]  # type: ignore[arg-type]
    assert ecs.filters == [None]


def test_the_list_of_a_service_without_service_deployments_is_empty() -> None:
    assert list_recent_deployments(Ecs(), SERVICE, service_answer(0)) == []  # type: ignore[arg-type]
