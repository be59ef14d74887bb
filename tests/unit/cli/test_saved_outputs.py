"""A command saves a stack's outputs, and a later one uses them while CloudFormation does not answer."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from simulations.fake_ports import make_ports

from rollback.domain.settings.policy import Policy
from rollback.errors import CallRefused, ExternalServiceError, InvalidRequest, RefusalKind
from rollback_cli import deployed_stack, saved_outputs
from rollback_cli.shell.cache_folder import cache_folder
from rollback_cli.shell.common_options import common_options
from rollback_constructs.settings.environment import Application, stack_names

STACK, ACCOUNT = "MacroAiProductionRollbackStack", "123456789012"
TOPIC = f"arn:aws:sns:eu-west-1:{ACCOUNT}:notifications"
OUTPUTS = {
    "Settings": make_ports(Policy()).settings.model_dump_json(),
    "LedgerTable": "ledger",
    "TopicArn": TOPIC,
    "CriticalTopicArn": f"{TOPIC}-critical",
    "WorkflowArn": f"arn:aws:states:eu-west-1:{ACCOUNT}:stateMachine:rollback",
}


class CloudFormation:
    """Answers with the outputs, or fails."""

    def __init__(self) -> None:
        self.failure: Exception | None = None

    def __call__(self, environment: str, name: str) -> dict[str, Any]:
        assert name == STACK
        if self.failure is not None:
            raise self.failure
        return dict(OUTPUTS)


@pytest.fixture
def cloudformation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> CloudFormation:
    """CloudFormation of an account that STS confirms, and an empty cache."""
    answers = CloudFormation()
    monkeypatch.setattr(deployed_stack, "_read_outputs", answers)
    monkeypatch.setattr(saved_outputs, "_present_account", lambda: ACCOUNT)
    monkeypatch.setenv("ROLLBACK_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    for name in ("ROLLBACK_STACK", "AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    return answers


def test_the_saved_outputs_are_used_with_their_age_when_cloudformation_does_not_answer(
    cloudformation: CloudFormation, capsys: pytest.CaptureFixture[str]
) -> None:
    before = deployed_stack.find_deployment("production")
    saved_outputs.save_outputs(STACK, OUTPUTS, datetime.now(UTC) - timedelta(hours=5, minutes=1))
    cloudformation.failure = ExternalServiceError("DescribeStacks got no answer")
    assert deployed_stack.find_deployment("production") == before
    captured = capsys.readouterr()
    assert "5 hours old, for account 123456789012. Later deployments of the stack are not in it" in captured.err
    assert "DescribeStacks got no answer" in captured.err
    assert "STS could not be asked" not in captured.err
    assert captured.out == ""


def test_a_refusal_for_a_missing_permission_uses_the_copy_too(cloudformation: CloudFormation) -> None:
    deployed_stack.find_deployment("production")
    cloudformation.failure = CallRefused("AccessDenied", kind=RefusalKind.ACCESS)
    assert deployed_stack.find_deployment("production").ledger_table == "ledger"


def test_without_valid_credentials_no_copy_is_used(cloudformation: CloudFormation) -> None:
    deployed_stack.find_deployment("production")
    cloudformation.failure = CallRefused("ExpiredToken", kind=RefusalKind.CREDENTIALS)
    with pytest.raises(CallRefused, match="ExpiredToken"):
        deployed_stack.find_deployment("production")


def test_a_stack_that_does_not_exist_is_not_replaced_by_a_copy(cloudformation: CloudFormation) -> None:
    deployed_stack.find_deployment("production")
    cloudformation.failure = InvalidRequest("there is no stack")
    with pytest.raises(InvalidRequest, match="there is no stack"):
        deployed_stack.find_deployment("production")


def test_without_a_copy_the_error_says_what_to_do(cloudformation: CloudFormation) -> None:
    cloudformation.failure = ExternalServiceError("DescribeStacks got no answer")
    with pytest.raises(ExternalServiceError, match=r"no earlier command on this machine saved .* update-service"):
        deployed_stack.find_deployment("production")


@pytest.mark.parametrize(
    ("variable", "value"), [("AWS_DEFAULT_REGION", "us-east-1"), ("AWS_ENDPOINT_URL", "http://localhost:5000")]
)
def test_a_copy_of_another_region_or_endpoint_is_not_used(
    cloudformation: CloudFormation, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    deployed_stack.find_deployment("production")
    monkeypatch.setenv(variable, value)
    assert saved_outputs.load_outputs(STACK) is None


def test_a_copy_of_another_account_is_not_used(cloudformation: CloudFormation, monkeypatch: pytest.MonkeyPatch) -> None:
    deployed_stack.find_deployment("production")
    monkeypatch.setattr(saved_outputs, "_present_account", lambda: "999999999999")
    assert saved_outputs.load_outputs(STACK) is None


def test_without_sts_the_only_copy_is_used_and_the_unchecked_account_is_said(
    cloudformation: CloudFormation, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed_stack.find_deployment("production")
    monkeypatch.setattr(saved_outputs, "_present_account", lambda: None)
    saved = saved_outputs.load_outputs(STACK)
    assert saved is not None
    assert "STS could not be asked for the account of your credentials" in saved.describe_age(datetime.now(UTC))
    other = {**OUTPUTS, "TopicArn": TOPIC.replace(ACCOUNT, "999999999999")}
    saved_outputs.save_outputs(STACK, other)
    assert saved_outputs.load_outputs(STACK) is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"endpoint": ""}', '{"endpoint": "", "outputs": 1, "saved_at": "x"}'])
def test_a_damaged_copy_counts_as_none(cloudformation: CloudFormation, text: str) -> None:
    deployed_stack.find_deployment("production")
    (file,) = cache_folder().glob("outputs-*.json")
    file.write_text(text)
    assert saved_outputs.load_outputs(STACK) is None


def test_a_folder_that_can_not_be_written_fails_no_command(
    cloudformation: CloudFormation, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("ROLLBACK_CACHE_DIR", str(tmp_path / "file"))
    assert deployed_stack.find_deployment("production").ledger_table == "ledger"


def test_the_copy_can_be_read_by_its_user_alone(cloudformation: CloudFormation) -> None:
    deployed_stack.find_deployment("production")
    (file,) = cache_folder().glob("outputs-*.json")
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)


@pytest.mark.parametrize("environment", ["production", "pr-12", "production-eu", "production-eu2"])
def test_the_command_looks_for_the_stack_that_cdk_deploys(environment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ROLLBACK_STACK", raising=False)
    assert deployed_stack.stack_name(environment) == stack_names(Application(), environment)[1]


def test_the_option_names_the_stack_and_wins_over_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROLLBACK_STACK", "Variable")
    assert deployed_stack.stack_name("production") == "Variable"
    monkeypatch.setattr(common_options, "stack", "Option")
    assert deployed_stack.stack_name("production") == "Option"


@pytest.mark.parametrize("more", [{}, {"ApproveFunctionName": "approve", "ReportBucket": "reports"}])
def test_the_outputs_of_a_guard_are_read_in_the_stack_of_an_importing_app(more: dict[str, str]) -> None:
    """Outputs of the app itself, such as one with the name Settings, are left alone."""
    outputs = {**OUTPUTS, **more}
    guard = {f"Rollback{name}": value for name, value in outputs.items()}
    of_the_app = {"Settings": "no JSON", "TopicArn": "arn:aws:sns:eu-west-1:123456789012:orders"}

    assert deployed_stack.from_outputs({**of_the_app, **guard}, "Shop") == deployed_stack.from_outputs(outputs, STACK)


def test_a_guard_of_another_version_is_named_by_the_output_that_it_lacks() -> None:
    guard = {f"Rollback{name}": value for name, value in OUTPUTS.items() if name != "WorkflowArn"}
    with pytest.raises(InvalidRequest, match="stack Shop has no output 'RollbackWorkflowArn'"):
        deployed_stack.from_outputs(guard, "Shop")
