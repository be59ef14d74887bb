"""Settings of reports to GitHub: off by default, small, and clear about what is wrong."""

from typing import Any

import pytest
from pydantic import ValidationError
from simulations.fake_ports import SETTINGS

from rollback.domain.settings.environment import Settings
from rollback.domain.settings.github import GitHubApp, GitHubSettings, IssueSettings
from rollback_constructs.settings.constraints.github import github_constraints

SECRET = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:github-AbCdEf"
APP = {"app_id": "Iv23liabc", "installation_id": 4711, "private_key_secret_arn": SECRET}


def settings(**changes: Any) -> GitHubSettings:
    return GitHubSettings.model_validate({"repository": "macro-ai/shop", "token_secret_arn": SECRET, **changes})


def test_nothing_is_reported_by_default_and_takes_no_room() -> None:
    assert SETTINGS.github is None
    assert "github" not in SETTINGS.model_dump_json(exclude_defaults=True)


def test_defaults_take_no_room_in_the_functions_variable() -> None:
    text = SETTINGS.model_copy(update={"github": settings()}).model_dump_json(exclude_defaults=True)
    assert f'"github":{{"repository":"macro-ai/shop","token_secret_arn":"{SECRET}"}}' in text
    read = Settings.model_validate_json(text).github
    assert read == settings()


@pytest.mark.parametrize(
    "change",
    [
        {"repository": "shop"},
        {"repository": "macro-ai/shop/x"},
        {"repository": "macro-ai/sh op"},
        {"repository": "https://github.com/macro-ai/shop"},
        {"token_secret_arn": "ghp_secret"},
        {"api_url": "http://github.internal/api/v3"},
        {"api_url": "https://user:pass@github.internal"},
        {"api_url": "ftp://x"},
        {"app": APP},
        {"token_secret_arn": None},
        {"deployment_environment": ""},
        {"issue": {"labels": []}},
        {"issue": {"labels": ["a,b"]}},
        {"issue": {"labels": ["x" * 51]}},
        {"issue": {"labels": [" padded"]}},
        {"issue": {"assignees": ["a"] * 11}},
        {"commit_status_context": ""},
        {"unknown": 1},
    ],
    ids=str,
)
def test_a_wrong_value_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        settings(**change)


@pytest.mark.parametrize("url", ["https://github.example.com/api/v3", "http://127.0.0.1:8080", "http://localhost:1"])
def test_an_enterprise_server_and_this_machine_are_allowed(url: str) -> None:
    assert settings(api_url=url).api_url == url


def test_an_incomplete_arn_fails_synth_with_its_setting() -> None:
    incomplete = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:github"
    assert list(github_constraints(settings(token_secret_arn=incomplete)).values()) == [False]
    by_app = settings(token_secret_arn=None, app={**APP, "private_key_secret_arn": incomplete})
    ((message, holds),) = github_constraints(by_app).items()
    assert not holds
    assert message.startswith(f"github.app.private_key_secret_arn is {incomplete!r}; allowed is a complete ARN")
    assert list(github_constraints(settings()).values()) == [True]
    assert github_constraints(None) == {}


def test_the_context_of_each_service_and_environment_is_another() -> None:
    default = settings()
    contexts = {default.status_context(e, s) for e in ("production", "staging") for s in ("api", "worker")}
    assert len(contexts) == 4
    assert settings(commit_status_context=None).status_context("production", "api") is None


@pytest.mark.parametrize(
    ("change", "permissions"),
    [
        ({}, {"statuses": "write", "issues": "write"}),
        ({"issue": None}, {"statuses": "write"}),
        ({"commit_status_context": None}, {"statuses": "read", "issues": "write"}),
        ({"deployment_environment": "Production"}, {"statuses": "write", "deployments": "write", "issues": "write"}),
    ],
)
def test_an_app_asks_for_the_permissions_that_the_reports_need(
    change: dict[str, Any], permissions: dict[str, str]
) -> None:
    assert settings(**change).permissions == permissions


def test_the_secret_is_that_of_the_credential() -> None:
    app = GitHubApp.model_validate({**APP, "private_key_secret_arn": SECRET.replace("github", "key")})
    assert settings().secret_arn == SECRET
    assert settings(token_secret_arn=None, app=app).secret_arn == SECRET.replace("github", "key")
    assert IssueSettings().labels == ("rollback",)
