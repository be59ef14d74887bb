"""Linting of the workflows finds planted defects, and says when it could not look."""

import re
import shutil
from pathlib import Path

import pytest
from static_analysis.workflows import (
    NEWER_THAN_ACTIONLINT,
    ROOT,
    LintNotRun,
    actionlint_messages,
    findings,
    is_tolerated,
    main,
)

_CHECKOUT = "uses: actions/checkout@"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of `.github`, to plant a defect in."""
    return Path(shutil.copytree(ROOT / ".github", tmp_path / ".github"))


def plant(folder: Path, name: str, old: str, new: str) -> None:
    path = folder / name
    text = path.read_text()
    assert old in text, f"{name} has no {old!r} any more"
    path.write_text(text.replace(old, new, 1))


def test_the_workflows_have_no_finding() -> None:
    assert list(findings(ROOT / ".github")) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        ("workflows/deploy.yml", "steps.verify.outputs", "steps.verified.outputs", 'property "verified" is not'),
        ("workflows/deploy.yml", "timeout-minutes: 360", "timeout-minute: 360", 'unexpected key "timeout-minute"'),
        ("workflows/drill.yml", '"17 10 * * 2"', '"17 10 * * 9"', "invalid CRON format"),
        ("workflows/approve.yml", "the decision is $DECISION", "${{ inputs.decision }}", "template-injection"),
        (
            "workflows/rollback.yml",
            "permissions:\n      id-token: write # credentials of AWS by OpenID Connect\n", "permissions: write-all\n",
            "excessive-permissions",
        ),
        (
            "workflows/ci.yml", "@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1", "@v7", "unpinned-uses",
        ),
        ("workflows/ci.yml", "        with:\n          persist-credentials: false\n", "", "artipacked"),
        (
            "actions/install-rollback/action.yml", '"$PYTHON" -m venv', "${{ inputs.python-version }} -m venv",
            "template-injection",
        ),
    ],
)  # fmt: skip
def test_a_planted_defect_is_found(
    folder: Path, file: str, old: str, new: str, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    plant(folder, file, old, new)
    assert main(folder) == 1
    assert expected in capsys.readouterr().out


def test_every_tolerated_message_is_still_needed() -> None:
    messages = [message for _, message in actionlint_messages(ROOT / ".github")]
    unused = [
        pattern
        for pattern in NEWER_THAN_ACTIONLINT
        if not any(re.fullmatch(pattern, message, re.DOTALL) for message in messages)
    ]
    assert unused == []


def test_a_message_about_another_variable_is_not_tolerated() -> None:
    assert is_tolerated('undefined variable "vars". available variables are "env"')
    assert not is_tolerated('undefined variable "var". available variables are "env"')
    assert not is_tolerated('label "ubuntu-24.05" is unknown. available labels are "windows-latest"')


def test_a_folder_without_workflows_is_said_not_to_be_linted(tmp_path: Path) -> None:
    with pytest.raises(LintNotRun, match="has no workflow"):
        list(findings(tmp_path))
    assert main(tmp_path) == 1


def test_every_foreign_action_is_pinned_by_a_commit_with_its_version_beside_it() -> None:
    uses = [
        line.strip().removeprefix("- ")
        for path in sorted((ROOT / ".github").rglob("*.yml"))
        for line in path.read_text().splitlines()
        if "uses:" in line and "$/" not in line
    ]
    assert sum(_CHECKOUT in line for line in uses) >= 3
    pinned = re.compile(r"uses: [\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
    assert [line for line in uses if not pinned.fullmatch(line)] == []


def test_one_action_has_one_version_everywhere() -> None:
    versions: dict[str, set[str]] = {}
    for path in (ROOT / ".github").rglob("*.yml"):
        for name, version in re.findall(r"uses: ([\w./-]+)@(\S+)", path.read_text()):
            versions.setdefault(name, set()).add(version)
    assert {name: found for name, found in versions.items() if len(found) > 1} == {}
