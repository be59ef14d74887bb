"""Service deployments of ECS: the recent ones, without reading the ninety days that ECS keeps.

The reference of ListServiceDeployments promises no order, so the first page need not have the newest deployment. The
parameter `createdAt.after` bounds the answer.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from rollback.adapters.aws.errors import aws_call
from rollback.adapters.aws.paging import pages_of
from rollback.domain.settings.environment import ServiceSettings

if TYPE_CHECKING:
    from mypy_boto3_ecs import ECSClient

# When ECS rolls a deployment back, the new PRIMARY is younger than the service deployment by the time that this took.
_WINDOWS = (timedelta(days=1), timedelta(days=14), None)
_MAX_A_PAGE = 100


def list_recent_deployments(
    client: "ECSClient", service: ServiceSettings, described: Mapping[str, Any]
) -> list[Mapping[str, Any]]:
    """List the service deployments since shortly before the oldest deployment that still has tasks, or else all.

    Args:
        client: client of ECS.
        service: the service.
        described: the service of a DescribeServices answer; its `deployments` have the times at which they began.
    """
    name = f"{service.cluster}/{service.ecs_service}"
    begin_times = [
        deployment["createdAt"] for deployment in described.get("deployments", ()) if "createdAt" in deployment
    ]
    for window in _WINDOWS if begin_times else (None,):
        since = min(begin_times) - window if window is not None else None
        deployments = _list_deployments(client, service, name, since)
        if deployments:
            return deployments
    return []


def _list_deployments(
    client: "ECSClient", service: ServiceSettings, name: str, since: datetime | None
) -> list[Mapping[str, Any]]:
    request: dict[str, Any] = {"cluster": service.cluster, "service": service.ecs_service, "maxResults": _MAX_A_PAGE}
    if since is not None:
        request["createdAt"] = {"after": since}
    with aws_call("ListServiceDeployments", name):
        pages = pages_of(client.list_service_deployments, **request)
        return [deployment for page in pages for deployment in page["serviceDeployments"]]
