"""`rollback doctor`: its exit code, its lines and its JSON."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from simulations.doctor import Patient, healthy_patient
from typer.testing import CliRunner

from rollback.errors import CallRefused, ExternalServiceError, InvalidRequest, RefusalKind
from rollback_cli import deployed_stack
from rollback_cli.deployed_stack import DeployedStack
from rollback_cli.main import app
from rollback_cli.verbs.operations import doctor

SCHEMA = json.loads((Path(__file__).parents[4] / "docs" / "schemas" / "cli-doctor-v1.json").read_text())


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> Patient:
    patient = healthy_patient()
    deployment = patient.examination.deployment
    monkeypatch.setattr(DeployedStack, "ports", lambda _: patient.simulation.ports)
    monkeypatch.setattr(deployed_stack, "find_deployment", lambda _: deployment)
    monkeypatch.setattr(doctor, "BotoApi", lambda: patient.account)
    monkeypatch.setattr(doctor, "_now", patient.now)
    monkeypatch.setattr(doctor, "_count_neon_projects", lambda _: 1)
    return patient


def run(*words: str) -> Any:
    return CliRunner().invoke(app, ["doctor", "production", *words], catch_exceptions=False)


def test_a_healthy_environment_ends_with_0(patient: Patient) -> None:
    del patient
    result = run()
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert "  pass     stack-is-deployed: MacroAiProductionRollbackStack is UPDATE_COMPLETE" in lines
    assert lines[-1].endswith("0 failed, 0 not looked at")


def test_a_warning_ends_with_0_and_says_what_to_do(patient: Patient) -> None:
    patient.account.subscriptions["rollbacks"] = []
    result = run()
    assert result.exit_code == 0
    assert "  warn     reports-reach-a-person: macro-ai-production-rollbacks has no subscription" in result.stdout
    assert "to do: aws sns subscribe" in result.stdout


@pytest.mark.parametrize("is_unseen", [False, True])
def test_a_failure_and_a_denied_look_end_with_1(patient: Patient, is_unseen: bool) -> None:
    if is_unseen:
        patient.account.forbidden.add("DescribeTable")
    else:
        patient.account.queues["dead-letters"] = 1
    result = run()
    assert result.exit_code == 1
    assert ("  not seen ledger-is-active" if is_unseen else "  fail     dead-letters-are-empty") in result.stdout


def test_the_json_follows_its_schema(patient: Patient) -> None:
    patient.account.queues["dead-letters"] = 1
    patient.account.forbidden.add("DescribeTable")
    result = run("--output", "json")
    report = json.loads(result.stdout)
    Draft202012Validator(SCHEMA).validate(report)
    assert report["is_healthy"] is False
    assert report["counts"]["fail"] == 1
    assert report["counts"]["skipped"] == 1
    groups = {finding["group"] for finding in report["findings"]}
    assert groups == set(SCHEMA["$defs"]["Group"]["enum"]) - {"test-event"}


@pytest.mark.parametrize(
    ("failure", "check", "verdict", "text"),
    [
        (InvalidRequest("there is no stack X"), "stack-is-deployed", "fail", "there is no stack X"),
        (CallRefused("token expired", kind=RefusalKind.CREDENTIALS), "credentials-are-valid", "fail", "token expired"),
        (CallRefused("denied", kind=RefusalKind.ACCESS), "stack-is-deployed", "fail", "denied"),
        (ExternalServiceError("no network"), "stack-is-deployed", "skipped", "no network"),
    ],
)
def test_without_a_stack_one_finding_says_why(
    monkeypatch: pytest.MonkeyPatch, failure: Exception, check: str, verdict: str, text: str
) -> None:
    def fail(_: str) -> DeployedStack:
        raise failure

    monkeypatch.setattr(deployed_stack, "find_deployment", fail)
    result = run("--output", "json")
    assert result.exit_code == 1
    (finding,) = json.loads(result.stdout)["findings"]
    assert (finding["check"], finding["verdict"]) == (check, verdict)
    assert text in finding["seen"]
    assert finding["to_do"]


def test_an_unknown_format_is_a_usage_error(patient: Patient) -> None:
    del patient
    assert run("--output", "xml").exit_code == 2
