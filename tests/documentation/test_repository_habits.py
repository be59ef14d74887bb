"""Files by which a repository tells contributors and GitHub how it works: they parse, and what they name exists."""

import re
from pathlib import Path
from typing import Any

import yaml
from documentation.pages import ROOT

TEMPLATES = sorted(path for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml")
# https://docs.github.com/en/communities/using-templates-to-encourage-useful-issues-and-pull-requests/syntax-for-githubs-form-schema
INPUTS = {"textarea", "input", "dropdown", "checkboxes"}


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def test_an_issue_form_has_what_github_demands() -> None:
    assert len(TEMPLATES) == 3
    for path in TEMPLATES:
        form = load(path)
        assert {"name", "description", "body"} <= form.keys(), path
        fields = [element for element in form["body"] if element["type"] in INPUTS]
        assert fields, path
        assert all(element["attributes"]["label"] for element in fields), path
        identifiers = [element["id"] for element in fields]
        assert len(set(identifiers)) == len(identifiers), path
        assert {element["type"] for element in form["body"]} <= INPUTS | {"markdown"}, path


def test_dependabot_watches_folders_that_have_a_lock() -> None:
    configuration = load(ROOT / ".github" / "dependabot.yml")
    assert configuration["version"] == 2
    ecosystems = {update["package-ecosystem"]: update for update in configuration["updates"]}
    assert ecosystems.keys() == {"pip", "github-actions"}
    for folder in ecosystems["pip"]["directories"]:
        files = (ROOT / folder.lstrip("/")).glob("*")
        assert any(file.name in {"requirements.lock", "requirements.txt", "pyproject.toml"} for file in files), folder


def test_the_hooks_before_a_commit_run_programs_and_files_that_exist() -> None:
    hooks = [hook for repository in load(ROOT / ".pre-commit-config.yaml")["repos"] for hook in repository["hooks"]]
    assert {"ruff-check", "ruff-format", "mypy", "actionlint", "english"} <= {hook["id"] for hook in hooks}
    makefile = (ROOT / "Makefile").read_text() + (ROOT / "pyproject.toml").read_text()
    for hook in hooks:
        program, *arguments = hook["entry"].split()
        assert program.startswith(".venv/bin/"), hook["id"]
        assert program.removeprefix(".venv/bin/") in makefile, hook["id"]
        for argument in arguments:
            assert "/" not in argument or (ROOT / argument).exists(), f"{hook['id']}: {argument}"


def test_every_path_of_codeowners_exists_and_its_owners_are_said_to_be_placeholders() -> None:
    text = (ROOT / "CODEOWNERS").read_text()
    assert "laceholder" in text
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            path, *owners = line.split()
            assert owners, line
            assert all(re.fullmatch(r"@[\w-]+/[\w-]+", owner) for owner in owners), line
            assert path == "*" or (ROOT / path.strip("/")).exists(), line


def test_the_security_page_says_how_to_report_and_what_is_supported() -> None:
    text = (ROOT / "SECURITY.md").read_text()
    assert re.findall(r"^## (.+)$", text, re.MULTILINE)[:2] == ["Report a vulnerability", "What is supported"]


def test_the_pull_request_template_asks_for_what_contributing_demands() -> None:
    text = (ROOT / ".github" / "pull_request_template.md").read_text()
    assert all(word in text for word in ("make check", "CHANGELOG.md", "docs/assumptions.md"))
