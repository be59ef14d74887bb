"""The interpreter of a bundle's bytecode: found, fetched, or an error that says what to do."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rollback_constructs.functions import interpreter
from rollback_constructs.functions.interpreter import NoInterpreter, find_interpreter

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture(autouse=True)
def _without_cache() -> Iterator[None]:
    find_interpreter.cache_clear()
    yield
    find_interpreter.cache_clear()


def program(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def without_uv(monkeypatch: pytest.MonkeyPatch, message: str) -> list[tuple[str, ...]]:
    """Let every command of uv fail with a message; return the commands."""
    commands: list[tuple[str, ...]] = []

    def fail(*arguments: str) -> subprocess.CompletedProcess[str]:
        commands.append(arguments)
        return subprocess.CompletedProcess(arguments, 1, "", message)

    monkeypatch.setattr(interpreter, "_uv", fail)
    return commands


def test_the_running_interpreter_is_taken_if_it_has_the_version() -> None:
    assert find_interpreter(VERSION) == sys.executable


def test_a_shim_that_fails_is_passed_over_for_a_later_program_of_the_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shims, programs = tmp_path / "shims", tmp_path / "programs"
    shims.mkdir()
    programs.mkdir()
    program(shims / f"python{VERSION}", "echo not installed >&2; exit 127")
    link = programs / f"python{VERSION}"
    link.symlink_to(sys.executable)
    monkeypatch.setattr(sys, "executable", str(shims / f"python{VERSION}"))
    monkeypatch.setenv("PATH", f"{shims}:{programs}:/bin")
    assert find_interpreter(VERSION) == str(link)


def test_pyenvs_interpreter_is_found_though_its_shim_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    place = tmp_path / "versions" / f"{VERSION}.0" / "bin"
    place.mkdir(parents=True)
    (place / f"python{VERSION}").symlink_to(sys.executable)
    monkeypatch.setattr(sys, "executable", "/nonexistent")
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    assert find_interpreter(VERSION) == str(place / f"python{VERSION}")


def test_an_interpreter_beside_the_one_that_runs_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    place = tmp_path / f"{VERSION}.0" / "bin"
    place.mkdir(parents=True)
    (place / f"python{VERSION}").symlink_to(sys.executable)
    monkeypatch.setattr(sys, "executable", "/nonexistent")
    monkeypatch.setattr(sys, "base_prefix", str(tmp_path / "3.0.0"))
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "elsewhere"))
    assert find_interpreter(VERSION) == str(place / f"python{VERSION}")


def test_without_an_interpreter_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    commands = without_uv(monkeypatch, "error: Failed to install\n  cause: dns error")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    with pytest.raises(NoInterpreter) as error:
        find_interpreter("3.19")
    assert commands[-1] == ("python", "install", "--no-bin", "3.19")
    for part in ("CPython 3.19", "cause: dns error", "uv python install 3.19", "rollback:bundle_bytecode", "`none`"):
        assert part in str(error.value)


@pytest.mark.parametrize(
    "answer",
    ['["PyPy", "3.13", "final", false]', '["CPython", "3.12", "final", false]', '["CPython", "3.13", "beta", false]',
     '["CPython", "3.13", "final", true]', "no answer"],
)  # fmt: skip
def test_an_interpreter_whose_bytecode_lambda_would_not_read_is_refused(answer: str, tmp_path: Path) -> None:
    assert not interpreter._is_usable(str(program(tmp_path / "python", f"echo '{answer}'")), "3.13")
