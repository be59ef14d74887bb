"""`rollback init` as an operator types it, against a described service in place of AWS."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from fakes.running_service import FakeRunningService, arn

from rollback_cli.main import run
from rollback_cli.verbs.operations import init

Type = Callable[..., int]
NAMES = ("--cluster", "shop-live", "--service", "Checkout_API")


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeRunningService:
    aws = FakeRunningService()
    monkeypatch.setattr(init, "_aws", lambda: aws)
    monkeypatch.chdir(tmp_path)
    return aws


def type_(*words: str) -> int:
    return run(["init", *words])


def files() -> list[str]:
    return sorted(path.name for path in Path().iterdir())


def test_print_shows_the_page_and_writes_nothing(aws: FakeRunningService, capsys: pytest.CaptureFixture[str]) -> None:
    assert type_(*NAMES) == 0
    assert capsys.readouterr().out.startswith("# checkout-api in production: what init found\n")
    assert files() == []


def test_write_makes_the_file_and_the_page(aws: FakeRunningService, capsys: pytest.CaptureFixture[str]) -> None:
    aws.denied.add("DescribeScalableTargets")
    assert type_(*NAMES, "--environment", "eu-live", "--application", "shop", "--name", "api", "--write") == 0
    said = capsys.readouterr().out
    assert files() == ["cdk.json", "rollback-init-api.md"]
    assert "next: read rollback-init-api.md, then run `cdk deploy MacroAiEuLiveRollbackStack`" in said
    assert "not read: scaling of the service (application-autoscaling:DescribeScalableTargets): access denied" in said
    document = json.loads(Path("cdk.json").read_text())
    assert document["context"]["application"] == {"name": "shop"}
    assert document["context"]["environments"]["eu-live"]["services"][0]["name"] == "api"


def test_a_second_run_is_refused_until_it_may_replace(
    aws: FakeRunningService, capsys: pytest.CaptureFixture[str]
) -> None:
    assert type_(*NAMES, "--write") == 0
    before = Path("cdk.json").read_bytes()
    assert type_(*NAMES, "--write") == 2
    assert "add --replace to renew it" in capsys.readouterr().err
    assert Path("cdk.json").read_bytes() == before
    aws.log_groups.clear()
    assert type_(*NAMES, "--write", "--replace") == 0
    assert b"log_group" not in Path("cdk.json").read_bytes()


def test_print_shows_a_service_that_is_described_already(aws: FakeRunningService) -> None:
    assert type_(*NAMES, "--write") == 0
    assert type_(*NAMES, "--print") == 0


def test_an_incomplete_section_is_not_written(aws: FakeRunningService, capsys: pytest.CaptureFixture[str]) -> None:
    aws.denied.add("DescribeTargetGroups")
    assert type_(*NAMES, "--write") == 2
    assert "the section is not complete: the load balancer of" in capsys.readouterr().err
    assert files() == []


def test_the_app_of_another_project_is_not_run(aws: FakeRunningService, capsys: pytest.CaptureFixture[str]) -> None:
    Path("cdk.json").write_text(
        '{"app": "npx ts-node bin/shop.ts", "context": {"application": {"stack_name": "Shop"}}}'
    )
    assert type_(*NAMES, "--write") == 0
    assert (
        '`cdk deploy ShopProductionRollbackStack --app "python -m rollback_constructs.app"`' in capsys.readouterr().out
    )
    assert json.loads(Path("cdk.json").read_text())["app"] == "npx ts-node bin/shop.ts"


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ((), "no service is named"),
        (("--service", "Checkout_API"), "add --cluster NAME"),
        (("--from-stack", "a", "--copilot", "a/b/c"), "--from-stack and --copilot are given together"),
        ((*NAMES, "--environment", "Prod EU"), "--environment is 'Prod EU'"),
        ((*NAMES, "--base-url", "shop.example.com"), "--base-url is 'shop.example.com'"),
        ((*NAMES, "--base-url", "https://u:p@shop.example.com"), "--base-url is"),
        ((*NAMES, "--base-url", "https://shop.example.com:99999"), "--base-url is"),
        ((*NAMES, "--container", "nginx"), "--container is 'nginx'; the task definition has web"),
        (("--terraform-state", "missing.tfstate"), "missing.tfstate can't be used"),
    ],
)
def test_a_wrong_option_is_told_and_nothing_is_written(
    aws: FakeRunningService, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], problem: str
) -> None:
    assert type_(*words, "--write") in {1, 2}
    error = capsys.readouterr().err
    assert problem in error.replace("; nothing was written", "").replace("\nnext: ", "; ")
    assert "internal error" not in error
    assert files() == []


def test_a_wrong_file_is_told_before_aws_is_asked(aws: FakeRunningService, capsys: pytest.CaptureFixture[str]) -> None:
    Path("cdk.json").write_text("{")
    assert type_(*NAMES, "--write") == 2
    assert "cdk.json is not valid JSON" in capsys.readouterr().err
    assert aws.calls == []


def test_a_stack_a_state_and_copilots_name_lead_to_the_same_section(aws: FakeRunningService) -> None:
    service_arn = aws.service["serviceArn"]
    aws.stacks["shop"] = [{"ResourceType": "AWS::ECS::Service", "PhysicalResourceId": service_arn}]
    aws.tagged = [service_arn]
    attributes = {"name": "Checkout_API", "cluster": arn("ecs", "cluster/shop-live")}
    resource = {"mode": "managed", "type": "aws_ecs_service", "instances": [{"attributes": attributes}]}
    Path("terraform.tfstate").write_text(json.dumps({"version": 4, "resources": [resource]}))
    sources = (NAMES, ("--from-stack", "shop"), ("--terraform-state", "terraform.tfstate"), ("--copilot", "a/b/c"))
    written = set()
    for words in sources:
        assert type_(*words, "--write") == 0
        written.add(Path("cdk.json").read_bytes())
        Path("cdk.json").unlink()
    assert len(written) == 1
