"""Look a running service up, read-only, with everything that its section of `cdk.json` names."""

from rollback_cli.attach.found import Found
from rollback_cli.attach.names import ServiceName, place_of
from rollback_cli.attach.read_balancing import read_balancing
from rollback_cli.attach.read_service import (
    choose_container,
    has_insights,
    read_definition,
    read_service,
    stack_of,
)
from rollback_cli.attach.read_surroundings import read_log_group, read_repositories, read_scaling, read_sharing
from rollback_cli.attach.reading import Reader


def look_up(reader: Reader, name: ServiceName, container_name: str | None = None) -> Found:
    """Look a service up.

    Args:
        reader: reading calls.
        name: cluster and service.
        container_name: container whose image names the version; None: the one that gets the requests.

    Raises:
        InvalidRequest: there is no such service, this product can't roll it back, or the container is not certain.
        ExternalServiceError: ECS refused to show the service, or AWS did not answer.
    """
    service = read_service(reader, name)
    place = place_of(str(service["serviceArn"]))
    definition = read_definition(reader, service)
    container = choose_container(service, definition, container_name)
    balancing = read_balancing(reader, service)
    return Found(
        place=place,
        cluster=name.cluster,
        ecs_service=str(service["serviceName"]),
        container=container,
        service=service,
        definition=definition,
        stack=stack_of(reader, service),
        has_insights=has_insights(reader, name.cluster),
        balancers=balancing.balancers,
        unbalanced_groups=balancing.unbalanced_groups,
        unread_groups=balancing.unread_groups,
        classic_balancers=balancing.classic_balancers,
        log_group=read_log_group(reader, container, place),
        repositories=read_repositories(reader, definition.containers, place),
        scaling=read_scaling(reader, name.cluster, str(service["serviceName"])),
        sharing=read_sharing(reader, name.cluster, service, definition, container),
        unread=tuple(reader.unread),
    )
