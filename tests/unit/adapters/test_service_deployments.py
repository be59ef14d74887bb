"""The newest service deployment is found in what is listed since the oldest deployment with tasks, not in 90 days."""

from datetime import timedelta
from typing import Any

from support.builders import NOW

from rollback.adapters.aws.ecs.service_deployments import list_recent_deployments
from rollback.domain.settings.environment import ServiceSettings

SERVICE = ServiceSettings(name="api", cluster="c", ecs_service="s", container="app")


class Ecs:
    """ListServiceDeployments over deployments of so many days ago, a page for each."""

    def __init__(self, *days_ago: float) -> None:
        self.created = [NOW - timedelta(days=days) for days in days_ago]
        self.asked: list[Any] = []

    def list_service_deployments(self, **given: Any) -> dict[str, Any]:
        if "nextToken" not in given:
            self.asked.append(given.get("createdAt"))
        after = (given.get("createdAt") or {}).get("after")
        found = [created for created in self.created if after is None or created > after]
        here = int(given.get("nextToken") or 0)
        page = [{"createdAt": created} for created in found[here : here + 1]]
        return {"serviceDeployments": page, **({"nextToken": str(here + 1)} if here + 1 < len(found) else {})}


def described(*days_ago: float) -> dict[str, Any]:
    return {"deployments": [{"createdAt": NOW - timedelta(days=days)} for days in days_ago]}


def days(found: list[Any]) -> list[float]:
    return [(NOW - one["createdAt"]) / timedelta(days=1) for one in found]


def test_what_is_older_than_the_tasks_is_not_listed() -> None:
    ecs = Ecs(*range(90))
    assert days(list_recent_deployments(ecs, SERVICE, described(0))) == [0]  # type: ignore[arg-type]
    assert len(ecs.asked) == 1


def test_the_oldest_deployment_with_tasks_begins_the_window() -> None:
    ecs = Ecs(30.5, 0, 60)
    assert days(list_recent_deployments(ecs, SERVICE, described(0, 30))) == [30.5, 0]  # type: ignore[arg-type]


def test_the_window_widens_until_something_is_found() -> None:
    """A rollback that took longer than a day makes a PRIMARY that is younger than its service deployment."""
    ecs = Ecs(9)
    assert days(list_recent_deployments(ecs, SERVICE, described(0))) == [9]  # type: ignore[arg-type]
    assert len(ecs.asked) == 2


def test_a_service_without_deployments_is_asked_for_all_of_them() -> None:
    ecs = Ecs(80)
    assert days(list_recent_deployments(ecs, SERVICE, {})) == [80]  # type: ignore[arg-type]
    assert ecs.asked == [None]


def test_none_are_found_where_none_are() -> None:
    assert list_recent_deployments(Ecs(), SERVICE, described(0)) == []  # type: ignore[arg-type]
