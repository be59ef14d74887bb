"""CloudFormation: status of a stack, and the task definitions in it."""

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from rollback.adapters.aws.errors import aws_call
from rollback.resources.aws.cloudformation_stack import StackView

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient

_DEFINITION = "AWS::ECS::TaskDefinition"


class CloudFormationStacks:
    """Adapter."""

    def __init__(self, client: "CloudFormationClient") -> None:
        self._client = client

    def describe(self, stack: str) -> StackView | None:
        """Call DescribeStacks and ListStackResources.

        DescribeStackResources returns the first 100 resources only (its reference).
        """
        with aws_call("DescribeStacks", stack):
            try:
                described = self._client.get_paginator("describe_stacks").paginate(StackName=stack)
                description = next(stack for page in described for stack in page["Stacks"])
                pages = self._client.get_paginator("list_stack_resources").paginate(StackName=stack)
                resources = [resource for page in pages for resource in page["StackResourceSummaries"]]
            except ClientError as error:
                if "does not exist" in str(error):  # CloudFormation reports a missing stack as a ValidationError
                    return None
                raise
        definitions = [r.get("PhysicalResourceId", "") for r in resources if r["ResourceType"] == _DEFINITION]
        return StackView(
            name=stack, status=description["StackStatus"], definition_arns=tuple(filter(None, definitions))
        )
