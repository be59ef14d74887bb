"""Deployment of a cloud assembly as the CDK writes it."""

import json
import uuid
from pathlib import Path
from typing import Any

import pytest

from local_cloud.deployment import deploy
from local_cloud.deployment.server import LocalCloud


def write_assembly(directory: Path, stacks: dict[str, dict[str, Any]], after: dict[str, list[str]]) -> Path:
    artifacts = {}
    for name, template in stacks.items():
        (directory / f"{name}.template.json").write_text(json.dumps(template))
        artifacts[name] = {
            "type": "aws:cloudformation:stack",
            "properties": {"templateFile": f"{name}.template.json"},
            "dependencies": after.get(name, []),
        }
    (directory / "manifest.json").write_text(json.dumps({"artifacts": artifacts}))
    return directory


def test_a_stack_is_deployed_after_the_one_it_imports_from(cloud: LocalCloud, tmp_path: Path) -> None:
    importing_stack, exporting_stack, export = (
        f"{kind}-{uuid.uuid4().hex[:6]}" for kind in ("a-importing", "b-exporting", "export")
    )
    exporting = {
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
        "Outputs": {"Arn": {"Value": {"Ref": "Topic"}, "Export": {"Name": export}}},
    }
    importing = {
        "Resources": {"Wait": {"Type": "AWS::CloudFormation::WaitConditionHandle"}},
        "Outputs": {"Arn": {"Value": {"Fn::ImportValue": export}}},
    }
    assembly = write_assembly(
        tmp_path, {importing_stack: importing, exporting_stack: exporting}, {importing_stack: [exporting_stack]}
    )
    outputs = deploy.deploy_assembly(cloud, assembly, [importing_stack])
    assert outputs[importing_stack]["Arn"] == outputs[exporting_stack]["Arn"]
    assert outputs == deploy.deploy_assembly(cloud, assembly)  # a second deployment changes nothing


def test_a_failure_names_the_resource_and_the_reason(cloud: LocalCloud, tmp_path: Path) -> None:
    name = f"failing-{uuid.uuid4().hex[:6]}"
    assembly = write_assembly(tmp_path, {name: {"Resources": {"Odd": {"Type": "AWS::Odd::Thing"}}}}, {})
    with pytest.raises(deploy.DeploymentFailed, match=r"Odd \(AWS::Odd::Thing\)"):
        deploy.deploy_assembly(cloud, assembly)


def test_an_asset_archive_depends_on_contents_only(tmp_path: Path) -> None:
    archives = []
    for name in ("one", "two"):
        directory = tmp_path / name
        directory.mkdir()
        for file in sorted(("b.py", "a.py"), reverse=name == "two"):
            (directory / file).write_text(f"# {file}")
        archives.append(deploy.zipped(directory))
    assert archives[0] == archives[1]
    (tmp_path / "two" / "a.py").write_text("# changed")
    assert deploy.zipped(tmp_path / "two") != archives[0]
