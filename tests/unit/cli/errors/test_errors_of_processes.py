"""Errors of the real command: two lines on standard error, an exit code, and no traceback."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from .failing_aws import Answer, error, serve, stack

ROOT = Path(__file__).parents[4]
STACK = "MacroAiProductionRollbackStack"
DENIED = (
    "User: arn:aws:sts::111122223333:assumed-role/reader/ann is not authorized to perform: "
    f"cloudformation:DescribeStacks on resource: arn:aws:cloudformation:eu-west-1:111122223333:stack/{STACK}/* "
    "because no identity-based policy allows the cloudformation:DescribeStacks action"
)
SETTINGS = json.dumps({"application": "macro-ai", "environment": "production", "services": [], "new": 1})
OUTPUTS = {"LedgerTable": "t", "TopicArn": "a", "CriticalTopicArn": "b", "WorkflowArn": "c"}


def run(
    words: str, folder: Path, answer: Answer | None = None, stdin: str = "", **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own, with the credentials of a test."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "MOTO_"))}
    base = {
        **inherited,
        "HOME": str(folder),
        "ROLLBACK_CACHE_DIR": str(folder),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "eu-west-1",
        **variables,
    }
    environment = {name: value for name, value in base.items() if value}
    command = [sys.executable, "-m", "rollback_cli.main", *words.split()]

    def process(address: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=ROOT, env={**environment, **({"AWS_ENDPOINT_URL": address} if address else {})},
            input=stdin, capture_output=True, text=True, check=False, timeout=180,
        )  # fmt: skip

    if answer is None:
        return process("")
    with serve(answer) as address:
        return process(address)


def assert_two_lines(process: subprocess.CompletedProcess[str], code: int, *said: str) -> None:
    assert process.returncode == code, process.stderr
    assert [line.partition(" ")[0] for line in process.stderr.splitlines()] == ["error:", "next:"], process.stderr
    assert [text for text in said if text not in process.stderr] == [], process.stderr


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            error(403, "ExpiredToken", "The security token included in the request is expired"),
            ("credentials are not valid", "is expired", "next: log in again (`aws sso login`)"),
        ),
        (
            error(403, "InvalidClientTokenId", "The security token included in the request is invalid"),
            ("credentials are not valid", "AWS_PROFILE"),
        ),
        (
            error(403, "SignatureDoesNotMatch", "Signature expired: 20260301T030000Z is now earlier than"),
            ("credentials are not valid", "this machine's clock"),
        ),
        (
            error(403, "AccessDenied", DENIED),
            (
                "no permission for cloudformation:DescribeStacks on arn:aws:cloudformation:eu-west-1:111122223333:",
                "role reader",
                '"Action":"cloudformation:DescribeStacks"',
            ),
        ),
        (error(400, "Throttling", "Rate exceeded"), ("throttled: ", "wait a minute")),
        (error(503, "ServiceUnavailable", "Service is unavailable"), ("DescribeStacks on", "next: ")),
        (
            error(400, "ValidationError", "1 validation error detected"),
            ("validation error detected", "correct what AWS names"),
        ),
    ],
    ids=["expired", "invalid token", "clock", "access", "throttled", "unavailable", "validation"],
)
def test_an_answer_of_aws_is_explained(answer: Answer, said: tuple[str, ...], tmp_path: Path) -> None:
    assert_two_lines(run("status production", tmp_path, answer), 1, *said)


NO_STACK = error(400, "ValidationError", f"Stack with id {STACK} does not exist")


def test_an_environment_without_a_stack_names_account_and_command(tmp_path: Path) -> None:
    process = run("status staging", tmp_path, NO_STACK)
    assert_two_lines(
        process, 2, "MacroAiStagingRollbackStack in account 111122223333", "cdk deploy MacroAiStagingRollbackStack"
    )


def test_an_unknown_environment_has_the_nearest_name(tmp_path: Path) -> None:
    assert_two_lines(run("status prodution", tmp_path, NO_STACK), 2, "did you mean 'production'?")
    assert_two_lines(run("prodution service", tmp_path, NO_STACK), 2, "did you mean 'production'?")


def test_the_wrong_account_is_named_with_the_right_one(tmp_path: Path) -> None:
    (tmp_path / "names.json").write_text(json.dumps({"environments": {"production": {"account": "444455556666"}}}))
    process = run("status production", tmp_path, NO_STACK)
    assert_two_lines(process, 2, "in account 111122223333", "last found in account 444455556666", "set AWS_PROFILE")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (stack(), "no output 'Settings'"),
        (stack(Settings=SETTINGS, **OUTPUTS), "settings that this version of the command can't read (services"),
        (stack(Settings="{", **OUTPUTS), "settings that this version of the command can't read"),
    ],
    ids=["no outputs", "unknown settings", "no JSON"],
)
def test_a_stack_of_another_version_is_named(answer: Answer, said: str, tmp_path: Path) -> None:
    assert_two_lines(run("status production", tmp_path, answer), 2, said, "next: ")


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"AWS_REGION": ""}, ("no AWS region is set", "set AWS_REGION")),
        ({"AWS_ACCESS_KEY_ID": ""}, ("no complete AWS credentials", "aws sso login")),
        ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, ("no complete AWS credentials", "AWS_PROFILE")),
        ({"AWS_PROFILE": "nobody"}, ("nobody", "aws configure list-profiles")),
        ({"AWS_REGION": "not a region"}, ("region is not valid", "such as eu-central-1")),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, ("there is no connection to AWS", "check the network")),
        ({"AWS_ENDPOINT_URL": "http://nowhere.invalid"}, ("there is no connection to AWS", "VPN")),
        ({"AWS_ENDPOINT_URL": "nonsense"}, ("nonsense", "AWS_ENDPOINT_URL")),
    ],
    ids=["region", "half credentials", "credentials", "profile", "wrong region", "refused", "unknown host", "address"],
)
def test_a_machine_that_is_not_set_up_is_told_how(
    variables: dict[str, str], said: tuple[str, ...], tmp_path: Path
) -> None:
    assert_two_lines(run("status production", tmp_path, None, **variables), 1, *said)


def test_debug_prints_the_traceback_before_the_two_lines(tmp_path: Path) -> None:
    process = run("status production --debug", tmp_path, NO_STACK)
    assert process.returncode == 2
    assert process.stderr.startswith("Traceback")
    assert process.stderr.splitlines()[-2].startswith("error: there is no stack")


def test_verbose_prints_each_request_with_its_id_and_no_secret(tmp_path: Path) -> None:
    process = run("--verbose status production", tmp_path, error(403, "AccessDenied", DENIED))
    first, *rest = process.stderr.splitlines()
    assert first == "aws: cloudformation:DescribeStacks 403 AccessDenied 0f7c1b2e-request"
    # STS is asked whose saved outputs may be used.
    assert [line.partition(" ")[0] for line in rest] == ["aws:", "error:", "next:"]
    assert "secret" not in process.stderr


@pytest.mark.parametrize("words", ["--help", "start --help", "--version", "completion bash", "local --help"])
def test_help_needs_no_credentials(words: str, tmp_path: Path) -> None:
    process = run(words, tmp_path, AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="", AWS_REGION="")
    assert (process.returncode, process.stderr) == (0, "")
    assert process.stdout


def test_no_colours_where_standard_error_is_no_terminal(tmp_path: Path) -> None:
    assert "\x1b" not in run("status", tmp_path).stderr
