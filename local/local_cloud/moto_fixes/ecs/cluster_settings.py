"""DescribeClusters gives a cluster's settings only if `include` lists SETTINGS, as ECS does; moto gives them always."""

from typing import Any

from moto.ecs.responses import EC2ContainerServiceResponse as Response

_SETTINGS = "DescribeClustersResponse.clusters.Cluster.settings"
_stock_describe = Response.describe_clusters


def install() -> None:
    """Replace moto's operation. Repeated calls change nothing."""
    Response.describe_clusters = _describe


def _describe(response: Any) -> Any:
    if "SETTINGS" in response._get_param("include", []):
        response._include_in_response(_SETTINGS)
    else:
        response._exclude_from_response(_SETTINGS)
    return _stock_describe(response)
