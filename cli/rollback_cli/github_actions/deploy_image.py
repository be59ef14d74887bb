"""`rollback-deploy-image ENV --image REF`: the deployment of `deploy.yml`, for services that no other tool deploys.

It registers the running task definition with another image, and updates the service. Everything else of the definition
stays, with the members that the SDK does not know yet. ECS's own answer is not waited for: `rollback verify` does that.
"""

import sys
from typing import TYPE_CHECKING, Annotated, Any

import boto3
import typer

from rollback.adapters.aws.ecs.definitions import describe_definition, register_definition
from rollback.adapters.aws.errors import aws_call
from rollback.domain.settings.environment import ServiceSettings
from rollback.errors import InvalidRequest, RollbackError
from rollback.names import RELEASE_TAG, family_of, original_family
from rollback_cli import deployed_stack
from rollback_cli.operator_options import Environment, Service
from rollback_cli.terminal_text import escape_markup, make_console, print_paragraph

if TYPE_CHECKING:
    from mypy_boto3_ecs import ECSClient

_VERSION_VARIABLE = "APP_VERSION"
_OWN_TAGS = ("aws:", RELEASE_TAG)  # AWS's and a rollback's; a new release has neither


def deploy_image(
    environment: Environment,
    image: Annotated[str, typer.Option(help="image reference, with a tag or a digest")],
    version: Annotated[
        str | None, typer.Option(help="value of the container's APP_VERSION, if the definition has this variable")
    ] = None,
    service: Service = None,
) -> None:
    """Deploy an image to the service, with everything else of its task definition as it runs now.

    Exit code 0: ECS has begun the deployment; 1: AWS refused, and the message says what was changed; 2: not valid.
    """
    deployment = deployed_stack.find_deployment(environment)
    settings = deployment.settings.service_or_only(service)
    ecs: ECSClient = boto3.client("ecs")
    name = f"{settings.cluster}/{settings.ecs_service}"
    running = _running_definition(ecs, settings, name)
    with aws_call("DescribeTaskDefinition", running):
        definition = describe_definition(ecs, running)
    containers = _with_image(definition["containerDefinitions"], settings.container, image, version)
    # After a rollback a definition of our families runs; a pipeline registers in its own family only.
    family = original_family(family_of(running))
    with aws_call("RegisterTaskDefinition", family):
        arn = register_definition(ecs, {**definition, "containerDefinitions": containers}, family, _tags(definition))
    print_paragraph(f"registered {arn}")
    with aws_call("UpdateService", name):
        ecs.update_service(cluster=settings.cluster, service=settings.ecs_service, taskDefinition=arn)
    command = f"rollback verify {environment} --service {settings.name} --wait"
    print_paragraph(f"ECS deploys {image} to {name}; to check the deployment: {command}")


def _running_definition(ecs: "ECSClient", settings: ServiceSettings, name: str) -> str:
    """Return the ARN of the service's task definition.

    Raises:
        InvalidRequest: there is no such service.
    """
    with aws_call("DescribeServices", name):
        answer = ecs.describe_services(cluster=settings.cluster, services=[settings.ecs_service])
    active = [found for found in answer["services"] if found["status"] == "ACTIVE"]
    if not active:
        raise InvalidRequest(f"there is no ECS service {name}: deploy it first; nothing was changed")
    return active[0]["taskDefinition"]


def _with_image(
    containers: list[dict[str, Any]], container: str, image: str, version: str | None
) -> list[dict[str, Any]]:
    """Put the image into one container of a definition; the version only replaces a value, and adds none.

    Raises:
        InvalidRequest: the definition has no such container.
    """
    if container not in [one["name"] for one in containers]:
        found = ", ".join(str(one["name"]) for one in containers)
        raise InvalidRequest(
            f"the running task definition has no container {container}, only {found}: correct `container` in the "
            "environment's settings; nothing was changed"
        )
    return [_new_release(one, image, version) if one["name"] == container else one for one in containers]


def _new_release(container: dict[str, Any], image: str, version: str | None) -> dict[str, Any]:
    variables = [
        {**one, "value": version} if version is not None and one["name"] == _VERSION_VARIABLE else one
        for one in container.get("environment", ())
    ]
    return {**container, "image": image, **({"environment": variables} if "environment" in container else {})}


def _tags(definition: dict[str, Any]) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in definition["tags"] if not tag["key"].startswith(_OWN_TAGS)}


def main() -> None:
    """Run the command; print an error of ours as one line, without a traceback."""
    try:
        typer.run(deploy_image)
    except RollbackError as error:
        make_console(stderr=True).print(f"[red]error:[/] {escape_markup(error)}", soft_wrap=True)
        sys.exit(2 if isinstance(error, InvalidRequest) else 1)


if __name__ == "__main__":
    main()
