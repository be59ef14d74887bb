"""The verbs of `rollback local` without a local cloud: each says what to do, and calls no other cloud."""

import subprocess
import sys
from pathlib import Path

import boto3
import pytest

from rollback_cli.local_environment import cloud_record
from rollback_cli.local_environment.cloud_record import LocalCloudRecord
from rollback_cli.main import main
from rollback_cli.verbs.development.local.env import shell_commands

VARIABLES = {"AWS_ENDPOINT_URL": "http://localhost:5000", "AWS_ENDPOINT_URL_S3": "http://localhost:5000"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(cloud_record.FOLDER_VARIABLE, str(tmp_path / "cloud"))
    return tmp_path / "cloud"


def type_(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    monkeypatch.setattr(sys, "argv", ["rollback", "local", *words])
    monkeypatch.setattr(boto3, "client", lambda *_: pytest.fail("a cloud was called"))
    with pytest.raises(SystemExit) as exit_info:
        main()
    output = capsys.readouterr()
    return int(exit_info.value.code or 0), output.out + output.err


@pytest.mark.parametrize("words", [("env",), ("ship", "v1.0.0"), ("traffic",)])
def test_a_verb_that_needs_the_cloud_says_how_to_start_one(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = type_(monkeypatch, capsys, *words)
    assert (code, "rollback local up --deploy" in said) == (2, True), said
    assert [line.partition(":")[0] for line in said.splitlines()] == ["error", "next"]


def test_down_without_a_cloud_has_nothing_to_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = type_(monkeypatch, capsys, "down")
    assert (code, "nothing to end" in said) == (0, True), said


@pytest.mark.parametrize("words", [("up", "--port", "0"), ("up", "--port", "0", "--detach")])
def test_a_second_cloud_in_a_directory_is_refused(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with cloud_record.owned_record():
        code, said = type_(monkeypatch, capsys, *words)
    assert (code, "runs already" in said, "rollback local down" in said) == (2, True, True), said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("ship", "v1/2"), "version 'v1/2' can't be the tag of an image"),
        (("ship", "v1", "--behaves", "eror"), "--behaves 'eror' is not known; choose one of healthy, errors"),
        (("ship",), "Missing argument 'version'"),
        (("traffic", "--rps", "0"), "--rps"),
        (("traffic", "--seconds", "soon"), "--seconds"),
    ],
)
def test_a_wrong_word_is_refused_before_the_cloud_is_looked_for(
    words: tuple[str, ...], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = type_(monkeypatch, capsys, *words)
    assert (code, message in said) == (2, True), said


def test_env_prints_the_variables_of_the_cloud(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with cloud_record.owned_record():
        cloud_record.save(
            LocalCloudRecord(variables=VARIABLES, application_url="http://localhost:1", requests_per_second=0)
        )
        code, said = type_(monkeypatch, capsys, "env")
    assert code == 0
    assert "export AWS_ENDPOINT_URL=http://localhost:5000\n" in said


def test_a_shell_that_evaluates_the_commands_has_no_variable_that_leads_elsewhere() -> None:
    present = {
        "AWS_PROFILE": "work",
        "AWS_SESSION_TOKEN": "real",
        "AWS_ENDPOINT_URL_DYNAMODB": "http://elsewhere",
        "AWS_ENDPOINT_URL_S3": "http://elsewhere",
        "HOME": "/root",
    }
    variables = {**VARIABLES, "ODD": "a 'b' $c"}
    script = "\n".join([*shell_commands(variables, present), "env -0"])
    shell = subprocess.run(["bash", "-c", script], env=present, capture_output=True, text=True, check=True)
    after = dict(entry.split("=", 1) for entry in shell.stdout.split("\0") if entry)
    assert {name: after.get(name) for name in (*present, *variables)} == {
        "AWS_PROFILE": None,
        "AWS_SESSION_TOKEN": None,
        "AWS_ENDPOINT_URL_DYNAMODB": None,
        "HOME": "/root",
        **variables,
    }


def test_a_process_that_is_pointed_at_the_cloud_has_no_variable_that_leads_elsewhere() -> None:
    program = (
        "import os; from rollback_cli.local_environment.client_variables import point_this_process_at as point; "
        f"point({VARIABLES!r}); print({{n: v for n, v in os.environ.items() if n.startswith('AWS_')}} == {VARIABLES!r})"
    )
    elsewhere = {"AWS_PROFILE": "work", "AWS_ENDPOINT_URL_DYNAMODB": "http://elsewhere"}
    path = {"PYTHONPATH": ":".join(sys.path)}
    process = subprocess.run(
        [sys.executable, "-c", program], env={**path, **elsewhere}, capture_output=True, text=True, check=True
    )
    assert process.stdout == "True\n", process.stderr
