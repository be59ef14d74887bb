"""A permissions boundary that an organisation demands of every role: the CDK's own context key sets it.

CDK developer guide, "Create and apply permissions boundaries for the AWS CDK".
"""

import json
from typing import Any

import pytest
from constructs.conftest import _assembly, _templates, resources
from previous_release.fixture import upgraded_context

Template = dict[str, Any]
BOUNDARY = "team-boundary"


@pytest.fixture(scope="module")
def bounded() -> dict[str, Template]:
    """Templates of an environment that creates every role that this product can create."""
    context = {**upgraded_context("complete"), "@aws-cdk/core:permissionsBoundary": {"name": BOUNDARY}}
    return _templates(_assembly(context))


def test_every_role_has_the_boundary(bounded: dict[str, Template]) -> None:
    roles = [(name, role) for name, template in bounded.items() for role in resources(template, "AWS::IAM::Role")]
    assert {name for name, _ in roles} == {"MacroAiProductionStack", "MacroAiProductionRollbackStack"}
    for _, role in roles:
        assert f":policy/{BOUNDARY}" in json.dumps(role["PermissionsBoundary"])


def test_no_role_has_a_boundary_by_default(templates: dict[str, Template]) -> None:
    assert not [
        role
        for template in templates.values()
        for role in resources(template, "AWS::IAM::Role")
        if "PermissionsBoundary" in role
    ]
