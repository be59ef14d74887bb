"""ECS ListServiceDeployments, which keeps ninety days: the newest is found without reading all of them.

The reference promises no order, so the newest can't be taken from the first page. `createdAt.after` bounds the answer.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from rollback.adapters.aws.errors import aws_call
from rollback.adapters.aws.paging import pages_of
from rollback.domain.settings.environment import ServiceSettings

if TYPE_CHECKING:
    from mypy_boto3_ecs import ECSClient

# A deployment that ECS rolls back makes a younger PRIMARY: the service deployment is older by as long as it took.
_WINDOWS = (timedelta(days=1), timedelta(days=14), None)
_MOST_A_PAGE = 100


def list_recent_deployments(
    client: "ECSClient", service: ServiceSettings, described: Mapping[str, Any]
) -> list[Mapping[str, Any]]:
    """The service deployments since shortly before the oldest deployment that still has tasks; else all there are.

    Args:
        described: the service as DescribeServices answered, whose `deployments` tell when they began.
    """
    name = f"{service.cluster}/{service.ecs_service}"
    began = [found["createdAt"] for found in described.get("deployments", ()) if "createdAt" in found]
    for window in _WINDOWS if began else (None,):
        since = min(began) - window if window is not None else None
        found = _list_deployments(client, service, name, since)
        if found:
            return found
    return []


def _list_deployments(
    client: "ECSClient", service: ServiceSettings, name: str, since: datetime | None
) -> list[Mapping[str, Any]]:
    given: dict[str, Any] = {"cluster": service.cluster, "service": service.ecs_service, "maxResults": _MOST_A_PAGE}
    if since is not None:
        given["createdAt"] = {"after": since}
    with aws_call("ListServiceDeployments", name):
        pages = pages_of(client.list_service_deployments, **given)
        return [found for page in pages for found in page["serviceDeployments"]]
