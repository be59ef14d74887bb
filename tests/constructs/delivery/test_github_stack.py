"""The stack of an environment that reports to GitHub: one secret more for one function."""

import json
from pathlib import Path
from typing import Any

import pytest
from constructs.conftest import _assembly
from constructs.test_access import actions, statements

from rollback.domain.settings.environment import SETTINGS_VARIABLE

STACK = "MacroAiProductionRollbackStack"
SECRET = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:github-AbCdEf"
GITHUB = {"repository": "macro-ai/shop", "token_secret_arn": SECRET}


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    folder = _assembly({"rollback:environments": "production", "rollback:overrides": {"github": GITHUB}})
    return dict(json.loads((Path(folder) / f"{STACK}.template.json").read_text()))


def readers_of_the_secret(template: dict[str, Any]) -> set[str]:
    return {
        function
        for function in ("decide", "service", "report", "promote")
        for statement in statements(template, function)
        if "secretsmanager:GetSecretValue" in actions(statement) and SECRET in json.dumps(statement["Resource"])
    }


def test_the_report_function_alone_reads_the_credential(template: dict[str, Any]) -> None:
    assert readers_of_the_secret(template) == {"report"}


def test_no_environment_without_github_reads_it(templates: dict[str, dict[str, Any]]) -> None:
    assert readers_of_the_secret(templates[STACK]) == set()


def test_the_functions_get_the_settings_and_not_the_secret(template: dict[str, Any]) -> None:
    functions = [one["Properties"] for one in template["Resources"].values() if one["Type"] == "AWS::Lambda::Function"]
    variables = [one.get("Environment", {}).get("Variables", {}) for one in functions]
    texts = [json.dumps(of[SETTINGS_VARIABLE]) for of in variables if SETTINGS_VARIABLE in of]
    assert texts
    assert all("macro-ai/shop" in text and SECRET in text for text in texts)
