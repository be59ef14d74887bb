"""Deployment of a CDK cloud assembly through CloudFormation's API, templates unchanged, without the CDK's CLI."""

import io
import json
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from local_cloud.deployment.server import LocalCloud
from local_cloud.listing import list_all

BOOTSTRAP_VERSION_PARAMETER = "/cdk-bootstrap/hnb659fds/version"
_BOOTSTRAP_VERSION = "30"
_TEMPLATE_BODY_BYTES = 51_200  # CloudFormation takes a longer template by URL only (quotas)
_NO_CHANGES = "No updates are to be performed"


class DeploymentFailed(Exception):
    """A stack could not be deployed. The message names the resource and the reason."""


def assets_bucket(cloud: LocalCloud) -> str:
    """Return the name of the assets bucket of `cdk bootstrap`."""
    return f"cdk-hnb659fds-assets-{cloud.account}-{cloud.region}"


def bootstrap(cloud: LocalCloud) -> None:
    """Make the parts of `cdk bootstrap` that deployments use: the assets bucket and the version parameter."""
    s3 = cloud.client("s3")
    if assets_bucket(cloud) not in {bucket["Name"] for bucket in list_all(s3, "list_buckets", "Buckets")}:
        location = {} if cloud.region == "us-east-1" else {"LocationConstraint": cloud.region}
        s3.create_bucket(Bucket=assets_bucket(cloud), **({"CreateBucketConfiguration": location} if location else {}))
    cloud.client("ssm").put_parameter(
        Name=BOOTSTRAP_VERSION_PARAMETER, Value=_BOOTSTRAP_VERSION, Type="String", Overwrite=True
    )


def deploy_assembly(
    cloud: LocalCloud,
    assembly_dir: Path | str,
    stack_names: Iterable[str] | None = None,
    parameters: dict[str, dict[str, str]] | None = None,
) -> dict[str, dict[str, str]]:
    """Create or update the stacks of a `cdk.out` directory, each after its dependencies.

    Args:
        cloud: a running cloud.
        assembly_dir: the `cdk.out` directory.
        stack_names: only these stacks and their dependencies; None: all.
        parameters: template parameters by stack.

    Returns:
        The outputs of each stack.

    Raises:
        DeploymentFailed: a stack or an asset could not be deployed.
        KeyError: the assembly has no such stack.
    """
    assembly = Path(assembly_dir)
    artifacts = json.loads((assembly / "manifest.json").read_text())["artifacts"]
    bootstrap(cloud)
    outputs: dict[str, dict[str, str]] = {}
    for artifact_id in _sort_by_dependency(artifacts, stack_names):
        artifact = artifacts[artifact_id]
        if artifact["type"] == "cdk:asset-manifest":
            _publish(cloud, assembly, assembly / artifact["properties"]["file"])
        else:
            name = artifact["properties"].get("stackName", artifact_id)
            template = (assembly / artifact["properties"]["templateFile"]).read_text()
            outputs[name] = _deploy_stack(cloud, name, template, (parameters or {}).get(name, {}))
    return outputs


def _sort_by_dependency(artifacts: dict[str, Any], stack_names: Iterable[str] | None) -> list[str]:
    stacks = {
        artifact["properties"].get("stackName", artifact_id): artifact_id
        for artifact_id, artifact in artifacts.items()
        if artifact["type"] == "aws:cloudformation:stack"
    }
    requested_ids = list(stacks.values()) if stack_names is None else [stacks[name] for name in stack_names]
    ordered: dict[str, None] = {}

    def visit(artifact_id: str) -> None:
        if artifact_id in ordered:
            return
        for dependency in artifacts[artifact_id].get("dependencies", []):
            if artifacts[dependency]["type"] in {"cdk:asset-manifest", "aws:cloudformation:stack"}:
                visit(dependency)
        ordered.setdefault(artifact_id)

    for artifact_id in requested_ids:
        visit(artifact_id)
    return list(ordered)


def _publish(cloud: LocalCloud, assembly: Path, manifest: Path) -> None:
    assets = json.loads(manifest.read_text())
    if assets.get("dockerImages"):
        raise DeploymentFailed(
            f"{manifest.name} holds container images, and the embedded cloud publishes none: push them to its ECR first"
        )
    for asset in assets.get("files", {}).values():
        source = asset["source"]
        if "path" not in source:
            raise DeploymentFailed(
                f"{manifest.name} holds an asset built by a command, and the embedded cloud runs no commands: {source}"
            )
        path = assembly / source["path"]
        content = zipped(path) if source["packaging"] == "zip" else path.read_bytes()
        for destination in asset["destinations"].values():
            bucket = _replace_pseudo_parameters(destination["bucketName"], cloud)
            cloud.client("s3").put_object(
                Bucket=bucket, Key=_replace_pseudo_parameters(destination["objectKey"], cloud), Body=content
            )


def _replace_pseudo_parameters(text: str, cloud: LocalCloud) -> str:
    return text.replace("${AWS::AccountId}", cloud.account).replace("${AWS::Region}", cloud.region)


def zipped(directory: Path) -> bytes:
    """Return a directory as an archive that depends on names and contents only; a zip file as it is."""
    if directory.is_file():
        return directory.read_bytes()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for path in sorted(path for path in directory.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(path.relative_to(directory).as_posix(), (1980, 1, 1, 0, 0, 0))
            entry.external_attr = (0o755 if path.stat().st_mode & 0o100 else 0o644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, path.read_bytes(), compresslevel=1)
    return buffer.getvalue()


def _deploy_stack(cloud: LocalCloud, name: str, template: str, parameters: dict[str, str]) -> dict[str, str]:
    cloudformation = cloud.client("cloudformation")
    arguments: dict[str, Any] = {
        "StackName": name,
        "Capabilities": ["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
        "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        **_template_argument(cloud, name, template),
    }
    exists = name in {stack["StackName"] for stack in list_all(cloudformation, "describe_stacks", "Stacks")}
    try:
        if exists:
            cloudformation.update_stack(**arguments)
        else:
            cloudformation.create_stack(**arguments)
    except ClientError as error:
        if _NO_CHANGES not in str(error):
            raise DeploymentFailed(
                f"CloudFormation refused stack {name}: {error.response['Error'].get('Message')}"
            ) from error
    (stack,) = list_all(cloudformation, "describe_stacks", "Stacks", StackName=name)
    if stack["StackStatus"] not in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}:
        raise DeploymentFailed(f"stack {name} is {stack['StackStatus']}: {_failure(cloudformation, name)}")
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def _template_argument(cloud: LocalCloud, name: str, template: str) -> dict[str, str]:
    if len(template.encode()) <= _TEMPLATE_BODY_BYTES:
        return {"TemplateBody": template}
    key = f"templates/{name}.json"
    cloud.client("s3").put_object(Bucket=assets_bucket(cloud), Key=key, Body=template.encode())
    return {"TemplateURL": f"{cloud.endpoint}/{assets_bucket(cloud)}/{key}"}


def _failure(cloudformation: Any, name: str) -> str:
    events = list_all(cloudformation, "describe_stack_events", "StackEvents", StackName=name)
    for event in events:
        failed = event["ResourceStatus"].endswith("_FAILED")
        if failed and event["ResourceType"] != "AWS::CloudFormation::Stack":
            return f"{event['LogicalResourceId']} ({event['ResourceType']}): {event.get('ResourceStatusReason')}"
    return next((event["ResourceStatusReason"] for event in events if event.get("ResourceStatusReason")), "no reason")
