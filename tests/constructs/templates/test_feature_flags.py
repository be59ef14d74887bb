"""Feature flags of the CDK in `cdk.json`: each recommended flag has a value, so that a synth has no notice."""

import json
import tarfile
from pathlib import Path
from typing import Any

import aws_cdk

from stacks.assembly import project_context

_FILE = "package/recommended-feature-flags.json"
# Flag → value that differs from the recommended one. The templates of stacks that exist must not change.
DECIDED = {
    # Exports hold the service's stack while the rollback stack uses it; weak references don't.
    "@aws-cdk/core:defaultCrossStackReferences": "strong",
    # AWS::Partition is right everywhere, a literal depends on the CDK's own facts.
    "@aws-cdk/core:enablePartitionLiterals": False,
    # The template says that ECS's deployment alarms are off; without the flag's default that would be unsaid.
    "@aws-cdk/aws-ecs:removeDefaultDeploymentAlarm": False,
    # CloudFormation replaces a service whose deployment controller changes, also from a stated to an unstated ECS.
    "@aws-cdk/aws-ecs:disableExplicitDeploymentControllerForCircuitBreaker": False,
}


def recommended_flags() -> dict[str, Any]:
    """Read the CDK's own list, which its command line compares with `cdk.json`."""
    (archive,) = (Path(aws_cdk.__file__).parent / "_jsii").glob("aws-cdk-lib@*.jsii.tgz")
    with tarfile.open(archive) as package:
        for member in package:
            if member.name == _FILE and (file := package.extractfile(member)) is not None:
                flags: dict[str, Any] = json.load(file)
                return flags
    raise AssertionError(f"{archive.name} has no {_FILE}")


def test_each_recommended_flag_is_set_as_recommended_or_as_decided() -> None:
    recommended = recommended_flags()
    assert len(recommended) > 80
    context = project_context()
    assert {flag: context.get(flag) for flag in recommended} == {**recommended, **DECIDED}


def test_a_decision_differs_from_the_recommendation() -> None:
    recommended = recommended_flags()
    assert [flag for flag, value in DECIDED.items() if recommended[flag] == value] == []
