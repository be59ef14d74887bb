"""Find the cluster and the name of a service from the tool that deploys it: CloudFormation, Terraform or Copilot.

Formats: Terraform's state, version 4 (`internal/states/statefile/version4.go`), and its JSON output
(https://developer.hashicorp.com/terraform/internals/json-format). Copilot tags what it creates with
`copilot-application`, `copilot-environment` and `copilot-service` (https://aws.github.io/copilot-cli/docs/developing/tags/).
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from rollback.errors import CallRefused, InvalidRequest, RefusalKind
from rollback.text import quoted
from rollback_cli.attach.names import ServiceName, parse_service
from rollback_cli.attach.reading import Reader

_STATE_VERSION = 4
_ECS_SERVICE = "AWS::ECS::Service"
_NESTED_STACK = "AWS::CloudFormation::Stack"
_TERRAFORM_SERVICE = "aws_ecs_service"


def from_stack(reader: Reader, stack: str, cluster: str | None, service: str | None) -> ServiceName:
    """Find the ECS service of a CloudFormation stack and of the stacks nested in it.

    Args:
        reader: reading calls.
        stack: name or ARN of the stack.
        cluster: cluster, needed only if the service's ARN has the old format without it.
        service: name of the service, needed only if the stack has several.

    Raises:
        InvalidRequest: there is no such stack, or no such service in it, or several.
        CallRefused: AWS refuses the call.
    """
    pending, arns, seen = [stack], list[str](), set[str]()
    while pending:
        name = pending.pop()
        if name in seen:
            continue
        seen.add(name)
        try:
            resources = reader.items("cloudformation", "ListStackResources", "StackResourceSummaries", StackName=name)
        except CallRefused as refused:
            if refused.kind is RefusalKind.ACCESS or refused.kind is RefusalKind.CREDENTIALS:
                raise
            raise InvalidRequest(
                f"there is no stack {quoted(name)} in this account and region; check --from-stack, AWS_PROFILE and "
                "AWS_REGION"
            ) from refused
        for resource in resources:
            if resource["ResourceType"] == _ECS_SERVICE and resource.get("PhysicalResourceId"):
                arns.append(str(resource["PhysicalResourceId"]))
            elif resource["ResourceType"] == _NESTED_STACK and resource.get("PhysicalResourceId"):
                pending.append(str(resource["PhysicalResourceId"]))
    return _only(((cluster, arn) for arn in arns), f"stack {stack}", service)


def from_terraform(state: Path, cluster: str | None, service: str | None) -> ServiceName:
    """Find the ECS service in a state of Terraform, or in the output of `terraform show -json`.

    Raises:
        InvalidRequest: the file is neither, or has no such service, or several.
        OSError: the file can't be read.
    """
    try:
        content = json.loads(state.read_bytes())
    except ValueError as error:
        raise InvalidRequest(
            f"{state} is no JSON ({error}); give a state file, or the output of terraform show -json"
        ) from error
    if not isinstance(content, Mapping):
        raise InvalidRequest(
            f"{state} is no state of Terraform; give a state file, or the output of terraform show -json"
        )
    attributes = list(_service_attributes(state, content))
    names = ((cluster or _text(values, "cluster"), _text(values, "name")) for values in attributes)
    return _only(((place, name) for place, name in names if name is not None), f"the state {state}", service)


def from_copilot(reader: Reader, text: str) -> ServiceName:
    """Find the ECS service that Copilot has tagged.

    Args:
        reader: reading calls.
        text: `<application>/<environment>/<service>`.

    Raises:
        InvalidRequest: the text has another format, or there is no such service.
        CallRefused: AWS refuses the call.
    """
    parts = text.split("/")
    if len(parts) != 3 or not all(parts):
        raise InvalidRequest(f"--copilot is {quoted(text)}; give <application>/<environment>/<service>")
    keys = ("copilot-application", "copilot-environment", "copilot-service")
    resources = reader.items(
        "resourcegroupstaggingapi",
        "GetResources",
        "ResourceTagMappingList",
        TagFilters=[{"Key": key, "Values": [value]} for key, value in zip(keys, parts, strict=True)],
        ResourceTypeFilters=["ecs:service"],
    )
    return _only(((None, str(resource["ResourceARN"])) for resource in resources), f"Copilot's {text}", None)


def _service_attributes(state: Path, content: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if "values" in content:
        yield from _values_in_module(content["values"].get("root_module", {}))
        return
    if content.get("version") != _STATE_VERSION:
        raise InvalidRequest(
            f"{state} has version {content.get('version')!r} of the state; allowed is {_STATE_VERSION}, or give "
            "the output of terraform show -json"
        )
    for resource in content.get("resources", ()):
        if resource.get("mode") == "managed" and resource.get("type") == _TERRAFORM_SERVICE:
            for instance in resource.get("instances", ()):
                yield instance.get("attributes") or {}


def _values_in_module(module: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for resource in module.get("resources", ()):
        if resource.get("mode") == "managed" and resource.get("type") == _TERRAFORM_SERVICE:
            yield resource.get("values") or {}
    for child in module.get("child_modules", ()):
        yield from _values_in_module(child)


def _text(values: Mapping[str, Any], name: str) -> str | None:
    value = values.get(name)
    return value if isinstance(value, str) and value else None


def _only(candidates: Iterable[tuple[str | None, str]], where: str, service: str | None) -> ServiceName:
    """Return the only service, or the named one.

    Raises:
        InvalidRequest: there is none, or several.
    """
    names = list(dict.fromkeys(parse_service(cluster, text) for cluster, text in candidates))
    if service is not None:
        wanted = service.rpartition("/")[2]
        matching = [name for name in names if name.ecs_service == wanted]
    else:
        matching = names
    listed = ", ".join(sorted(f"{name.cluster}/{name.ecs_service}" for name in names))
    if not names:
        raise InvalidRequest(f"{where} has no ECS service; give --cluster and --service")
    if not matching:
        raise InvalidRequest(f"{where} has no ECS service {quoted(str(service))}; it has {listed}")
    if len(matching) > 1:
        raise InvalidRequest(f"{where} has several ECS services, {listed}; name one by --cluster and --service")
    return matching[0]
