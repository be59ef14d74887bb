"""Resources that outlive their stack: a new stack takes them over by name (`cdk deploy --import-existing-resources`).

CloudFormation imports a resource by itself if the template gives it a name and a DeletionPolicy (CloudFormation user
guide, "Import AWS resources automatically" and "Resource import overview").
"""

from typing import Any

import pytest

Template = dict[str, Any]
NAMES = {
    "AWS::DynamoDB::Table": "TableName",
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::ECR::Repository": "RepositoryName",
}
STACKS = ("MacroAiProductionStack", "MacroAiProductionRollbackStack")


def retained(template: Template) -> dict[str, dict[str, Any]]:
    return {
        id_: resource for id_, resource in template["Resources"].items() if resource.get("DeletionPolicy") == "Retain"
    }


@pytest.mark.parametrize("stack", STACKS)
def test_each_retained_resource_has_a_name_to_import_it_by_or_none_that_could_be_taken(
    stack: str, templates: dict[str, Template]
) -> None:
    resources = retained(templates[stack])
    assert resources
    for id_, resource in resources.items():
        if resource["Type"] == "AWS::S3::Bucket":
            assert "BucketName" not in resource["Properties"]  # a new stack makes another bucket, the old one stays
            continue
        name = resource["Properties"][NAMES[resource["Type"]]]
        assert isinstance(name, str), id_


def test_production_retains_its_ledger_its_images_and_all_logs(templates: dict[str, Template]) -> None:
    kinds = [resource["Type"] for stack in STACKS for resource in retained(templates[stack]).values()]
    assert kinds.count("AWS::DynamoDB::Table") == kinds.count("AWS::ECR::Repository") == 1
    all_resources = [resource for stack in STACKS for resource in templates[stack]["Resources"].values()]
    assert kinds.count("AWS::Logs::LogGroup") == [r["Type"] for r in all_resources].count("AWS::Logs::LogGroup") == 8


@pytest.mark.parametrize("environment", ["Staging", "Feature"])
def test_without_retain_only_the_bucket_of_reports_stays(environment: str, templates: dict[str, Template]) -> None:
    kinds = {
        resource["Type"]
        for kind in ("Stack", "RollbackStack")
        for resource in retained(templates[f"MacroAi{environment}{kind}"]).values()
    }
    assert kinds == {"AWS::S3::Bucket"}
