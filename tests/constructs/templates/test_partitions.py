"""Templates of every partition of AWS that is open to customers, with all parts that an environment can have."""

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from aws_cdk.region_info import RegionInfo
from constructs.conftest import resources
from support.every_part import REGIONS, WITHOUT_CHATBOT, everything

from stacks.assembly import synthesise

Template = dict[str, Any]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Synthesise both stacks for each partition."""
    return {
        partition: synthesise(
            tmp_path_factory.mktemp(partition),
            {"aws:cdk:bundling-stacks": [], "environments": {"staging": everything(partition)}},
        )
        for partition in REGIONS
    }


def templates_of(folder: Path) -> dict[str, Template]:
    return {path.name: json.loads(path.read_text()) for path in sorted(folder.glob("*.template.json"))}


@pytest.mark.parametrize("partition", REGIONS)
def test_every_arn_in_a_template_is_of_its_partition(partition: str, folders: Mapping[str, Path]) -> None:
    templates = templates_of(folders[partition])
    assert len(templates) == 2
    for name, template in templates.items():
        arns = set(re.findall(r"\barn:[a-z-]+:[a-z0-9-]+:", json.dumps(template)))
        assert {arn for arn in arns if not arn.startswith(f"arn:{partition}:")} == set(), name


@pytest.mark.parametrize("partition", REGIONS)
def test_a_domain_of_aws_in_a_template_is_a_service_principal_or_an_audience(
    partition: str, folders: Mapping[str, Path]
) -> None:
    """A host name ends with the partition's own suffix, a service principal never does: the CDK's facts say how."""
    principals = 0
    for name, template in templates_of(folders[partition]).items():
        text = json.dumps(template)
        found = set(re.findall(r"[\w.-]*amazonaws[\w.-]*", text))
        for domain in sorted(found - {"sts.amazonaws.com"}):  # the audience, which GitHub's token has by our workflow
            service = domain.partition(".")[0]
            expected = RegionInfo.get(REGIONS[partition]).service_principal(f"{service}.amazonaws.com")
            assert domain == expected, (name, domain)
            assert f'"Service": "{domain}"' in text or f'"iam:PassedToService": "{domain}"' in text, (name, domain)
            principals += 1
    assert principals >= 6


@pytest.mark.parametrize("partition", REGIONS)
def test_cfn_lint_knows_every_resource_in_the_region_of_the_partition(
    partition: str, folders: Mapping[str, Path]
) -> None:
    files = sorted(str(path) for path in folders[partition].glob("*.template.json"))
    # W3010: the settings name the zones. The others: `test_templates.py`.
    command = [str(Path(sys.executable).with_name("cfn-lint")), "--regions", REGIONS[partition], "--ignore-checks"]
    process = subprocess.run(
        [*command, "W3005", "W6001", "W3010", "--", *files], capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stdout + process.stderr


@pytest.mark.parametrize("partition", REGIONS)
def test_the_templates_hold_each_part_whose_partition_they_could_get_wrong(
    partition: str, folders: Mapping[str, Path]
) -> None:
    """The other tests would pass on templates without these parts."""
    (rollback, service) = templates_of(folders[partition]).values()
    kinds = {
        "AWS::IAM::OIDCProvider", "AWS::Scheduler::Schedule", "AWS::StepFunctions::StateMachine", "AWS::S3::Bucket",
        "AWS::SNS::Subscription", "AWS::SQS::QueuePolicy", "AWS::CloudWatch::Dashboard",
    }  # fmt: skip
    if partition not in WITHOUT_CHATBOT:
        kinds |= {"AWS::Chatbot::SlackChannelConfiguration"}
    assert kinds <= {resource["Type"] for resource in rollback["Resources"].values()}
    assert len(resources(rollback, "AWS::Lambda::Function")) == 6
    assert resources(service, "AWS::ElasticLoadBalancingV2::Listener")[0]["Protocol"] == "HTTPS"
