"""Promises of the port to CloudFormation, kept on the fake and on the embedded cloud."""

import json
import uuid

import pytest
from contract.real_ports import real_ports
from fakes.aws.cloudformation import FakeStacks

from local_cloud.deployment.server import LocalCloud
from rollback.ports.aws.cloudformation import Stacks
from rollback.resources.aws.cloudformation_stack import StackState, StackView, list_drift


def template(image: str) -> str:
    """Build a template with a task definition and another resource."""
    container = {"Name": "app", "Image": image, "Memory": 128}
    family = {"Family": "web", "ContainerDefinitions": [container]}
    resources = {
        "Definition": {"Type": "AWS::ECS::TaskDefinition", "Properties": family},
        "Topic": {"Type": "AWS::SNS::Topic"},
    }
    return json.dumps({"Resources": resources})


class Deployment:
    """One stack that a test deploys."""

    def __init__(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
        self.name = f"stack-{uuid.uuid4().hex[:8]}"
        self.stacks: Stacks
        self._number = 0
        if request.param == "fake":
            self._fake: FakeStacks | None = FakeStacks()
            self.stacks = self._fake
            return
        self._fake = None
        cloud: LocalCloud = request.getfixturevalue("cloud")
        self._cloud, self._cloudformation = cloud, cloud.client("cloudformation")
        self.stacks = real_ports(cloud, monkeypatch).stacks

    def deploy(self) -> str:
        """Create or update the stack; return the ARN of its task definition."""
        self._number += 1
        if self._fake is not None:
            arn = f"arn:aws:ecs:eu-west-1:123456789012:task-definition/web:{self._number}"
            status = "CREATE_COMPLETE" if self._number == 1 else "UPDATE_COMPLETE"
            self._fake.stack = StackView(name=self.name, status=status, definition_arns=(arn,))
            return arn
        parameters = {"StackName": self.name, "TemplateBody": template(f"web:{self._number}")}
        if self._number == 1:
            self._cloudformation.create_stack(**parameters)
        else:
            self._cloudformation.update_stack(**parameters)
        described = self._cloudformation.describe_stack_resource(StackName=self.name, LogicalResourceId="Definition")
        return str(described["StackResourceDetail"]["PhysicalResourceId"])

    def delete(self) -> None:
        if self._fake is not None:
            self._fake.stack = None
        else:
            self._cloudformation.delete_stack(StackName=self.name)


@pytest.fixture(params=["fake", "cloud"])
def deployment(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    return Deployment(request, monkeypatch)


def test_a_stack_records_only_the_definition_that_it_deployed_last(deployment: Deployment) -> None:
    first = deployment.deploy()
    view = deployment.stacks.describe(deployment.name)
    assert view is not None
    assert (view.definition_arns, view.status, view.state) == ((first,), "CREATE_COMPLETE", StackState.STABLE)
    second = deployment.deploy()
    view = deployment.stacks.describe(deployment.name)
    assert view is not None
    assert (view.definition_arns, view.status, view.state) == ((second,), "UPDATE_COMPLETE", StackState.STABLE)
    assert list_drift(view, second) is None
    assert "still records" in (list_drift(view, first) or "")


def test_a_missing_or_deleted_stack_is_none(deployment: Deployment) -> None:
    assert deployment.stacks.describe(deployment.name) is None
    deployment.deploy()
    deployment.delete()
    assert deployment.stacks.describe(deployment.name) is None
