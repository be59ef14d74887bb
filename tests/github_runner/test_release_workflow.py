"""The release workflow's blocks: the version check, the wheel and the bill of materials; nothing is published."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from github_runner.runner import ROOT, JobResult, Runner, StandIn

_VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
_PACKAGES = ("stacks", "constructs", "lambdas", "cli", "local", ".github")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository whose changelog has a section of the version."""
    folder = tmp_path_factory.mktemp("repository")
    for name in _PACKAGES:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, folder / name)
    (folder / "CHANGELOG.md").write_text(
        f"# Changelog\n\n## Unreleased\n\n- later\n\n## {_VERSION} (2026-03-01)\n\n"
        "### Added\n\n- this\n\n## 0.0.1\n\n- old\n"
    )
    return folder


def release(repository: Path, tmp_path: Path, tag: str) -> dict[str, JobResult]:
    kept = {name: lambda _: StandIn() for name in (
        "actions/checkout", "actions/setup-python", "actions/upload-artifact", "actions/download-artifact",
        "actions/attest-build-provenance",
    )}  # fmt: skip
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "python").symlink_to(sys.executable)
    (programs / "gh").write_text('#!/bin/sh\necho "gh $*"\n')
    (programs / "gh").chmod(0o755)
    base = {"PATH": f"{programs}:/usr/bin:/bin", "HOME": str(tmp_path)}
    runner = Runner(tmp_path, repository, kept, base=base, ref_name=tag)
    return runner.run(ROOT / ".github" / "workflows" / "release.yml", "push")


def notes(repository: Path, tag: str) -> subprocess.CompletedProcess[str]:
    script = ROOT / ".github" / "release" / "release_notes.py"
    return subprocess.run(
        [sys.executable, str(script), tag], cwd=repository, capture_output=True, text=True, check=False
    )


def test_the_notes_are_the_section_of_the_version_alone(repository: Path) -> None:
    result = notes(repository, f"v{_VERSION}")
    assert (result.returncode, result.stdout) == (0, "### Added\n\n- this\n")


@pytest.mark.parametrize(
    ("tag", "problem"),
    [
        ("v9.9.9", f"pyproject.toml has version {_VERSION}, the tag 9.9.9"),
        (_VERSION, "allowed is v1.2.3"),
        (f"v{_VERSION}-rc1", "allowed is v1.2.3"),
        ("v1.2.3; rm -rf /", "allowed is v1.2.3"),
    ],
)
def test_a_tag_of_another_version_is_refused_in_one_line(repository: Path, tag: str, problem: str) -> None:
    result = notes(repository, tag)
    assert result.returncode == 1
    assert result.stdout == ""
    assert problem in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_version_without_a_section_is_refused(repository: Path, tmp_path: Path) -> None:
    shutil.copy(repository / "pyproject.toml", tmp_path)
    (tmp_path / "CHANGELOG.md").write_text(
        f"# Changelog\n\n## Unreleased\n\n- all\n\n## {_VERSION}\n\n## 0.0.1\n\n- old\n"
    )
    result = notes(tmp_path, f"v{_VERSION}")
    assert result.returncode == 1
    assert f"no section {_VERSION}" in result.stderr


def test_nothing_is_built_or_published_under_a_wrong_tag(repository: Path, tmp_path: Path) -> None:
    jobs = release(repository, tmp_path, "v9.9.9")
    assert jobs["build"].conclusion == "failure"
    assert jobs["build"].step("Build the wheel").outcome == "skipped"
    assert jobs["publish"].conclusion == "skipped"


def test_the_bill_of_materials_names_every_package_that_is_installed(repository: Path) -> None:
    script = ROOT / ".github" / "release" / "bill_of_materials.py"
    result = subprocess.run(
        [sys.executable, str(script), "v1.2.3"], cwd=repository, capture_output=True, text=True, check=True
    )
    document = json.loads(result.stdout)
    locked = dict(re.findall(r"^([\w.-]+)==([^\s;\\]+)", (ROOT / "cli/requirements.txt").read_text(), re.MULTILINE))
    assert {one["name"]: one["version"] for one in document["components"]} == locked
    assert {"boto3", "typer", "pydantic", "hatchling"} <= set(locked)
    assert all(one["hashes"] for one in document["components"])
    assert document["metadata"]["component"]["purl"] == "pkg:pypi/macro-ai-rollback@1.2.3"
    assert document["dependencies"][0]["dependsOn"] == [one["purl"] for one in document["components"]]


def test_the_packages_of_the_action_have_the_versions_of_the_lock() -> None:
    """`make lock` writes both files; the tests run with the versions that the action installs."""
    pattern = re.compile(r"^([\w.-]+)==([^\s;\\]+)", re.MULTILINE)
    action, lock = (
        dict(pattern.findall((ROOT / f).read_text())) for f in ("cli/requirements.txt", "requirements.lock")
    )
    build = {"hatchling", "pathspec", "pluggy", "tomlkit", "trove-classifiers", "packaging"}
    assert {name: version for name, version in action.items() if lock.get(name) != version and name not in build} == {}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {re.split(r"[\[<>=]", requirement)[0] for requirement in project["dependencies"]}
    assert needed <= set(action)


def test_a_release_builds_the_wheel_and_publishes_it_with_its_notes(repository: Path, tmp_path: Path) -> None:
    jobs = release(repository, tmp_path, f"v{_VERSION}")
    assert jobs["build"].conclusion == "success", jobs["build"].log
    (wheel,) = (repository / "dist").glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "rollback_cli/main.py" in names
    assert "rollback/workflow/route.py" in names
    (entry_points,) = (name for name in names if name.endswith("entry_points.txt"))
    assert "rollback-deploy-image = " in zipfile.ZipFile(wheel).read(entry_points).decode()
    assert json.loads((repository / "dist" / "bill-of-materials.cdx.json").read_text())["bomFormat"] == "CycloneDX"
    published = jobs["publish"]
    assert published.environment == "release"
    assert f"gh release create v{_VERSION} dist/bill-of-materials.cdx.json dist/{wheel.name}" in published.log
    assert "--notes-file release-notes.md --verify-tag" in published.log
