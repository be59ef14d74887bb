"""Completion: the candidates, and the scripts in real shells."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rollback_cli.main import run
from rollback_cli.shell import names_cache
from rollback_cli.shell.candidates import candidates

ROOT = Path(__file__).parents[4]


@pytest.fixture(autouse=True)
def names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names that this machine has seen."""
    monkeypatch.setenv("ROLLBACK_CACHE_DIR", str(tmp_path))
    names_cache.remember("qa", services=("api", "worker"), versions=("v1", "v2"), rollbacks=("api-20260301-1",))
    names_cache.remember("production", services=("web",), versions=("v9",), rollbacks=("web-20260301-2",))


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("sta", ["staging", "start", "status"]),
        ("q", ["qa", "quarantine"]),
        ("--v", ["--verbose", "--version"]),
        ("status ", ["feature", "production", "qa", "staging"]),
        ("start qa ", ["database", "emergency", "full", "service"]),
        ("qa e", ["emergency"]),
        ("show qa ", ["api-20260301-1"]),
        ("watch api", ["api-20260301-1"]),
        ("show production ", ["web-20260301-2"]),
        ("quarantine qa v", ["v1", "v2"]),
        ("start qa service --target-version ", ["v1", "v2"]),
        ("start qa --service w", ["worker"]),
        ("pause qa --reason moved --service ", ["api", "worker"]),
        ("pause --reason moved ", ["feature", "production", "qa", "staging"]),
        ("start qa --ser", ["--service"]),
        ("start qa --strategy re", ["recreate", "reset", "restore"]),
        ("history qa --before ", ["api-20260301-1"]),
        ("completion ", ["bash", "fish", "zsh"]),
        ("local u", ["up"]),
        ("local up --po", ["--port"]),
        ("pause qa ", []),
        ("nonsense ", []),
        ("demo ", []),
    ],
)
def test_candidates_fit_the_place_of_the_word(typed: str, offered: list[str]) -> None:
    *before, unfinished = typed.split(" ")
    assert candidates([*before, unfinished]) == offered


def test_a_damaged_file_of_names_offers_the_usual_environments(capsys: pytest.CaptureFixture[str]) -> None:
    names_cache.cache_file().write_text("{")
    assert run(["__complete", "status", ""]) == 0
    assert capsys.readouterr().out.split() == ["feature", "production", "staging"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_script_that_asks_this_command(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert "rollback __complete" in script
    if shutil.which(shell) is not None:  # `-n`: parse, and run nothing
        subprocess.run([shell, "-n"], input=script, text=True, check=True)


def test_an_unknown_shell_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["completion", "tcsh"]) == 2
    assert "bash" in capsys.readouterr().err


def test_bash_completes_the_id_of_a_rollback(tmp_path: Path) -> None:
    command = tmp_path / "bin" / "rollback"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m rollback_cli.main "$@"\n')
    command.chmod(0o755)
    words = 'COMP_WORDS=(rollback show qa ""); COMP_CWORD=3; _rollback; echo "${COMPREPLY[*]}"'
    process = subprocess.run(
        ["bash", "-c", f'eval "$(rollback completion bash)"; {words}'],
        cwd=ROOT, env={**os.environ, "PATH": f"{command.parent}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True, text=True, check=True, timeout=180,
    )  # fmt: skip
    assert process.stdout.strip() == "api-20260301-1"
