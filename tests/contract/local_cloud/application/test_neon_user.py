"""The user that Postgres runs as under root: it is made if it is missing, or the error names the reason."""

import os
import pwd
from pathlib import Path

import pytest

from local_cloud.neon import postgres as neon_postgres
from local_cloud.neon.postgres import PostgresFailure


@pytest.fixture(autouse=True)
def _root_without_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> pwd.struct_passwd:
        raise KeyError(name)

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(pwd, "getpwnam", missing)
    monkeypatch.setattr(neon_postgres, "_USER_SECONDS", 0.3)
    monkeypatch.setattr(neon_postgres, "_can_execute", lambda: True)


def useradd(folder: Path, script: str) -> None:
    program = folder / "useradd"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def test_a_failure_to_create_the_user_names_the_reason_and_the_action(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    useradd(tmp_path, "echo 'useradd: cannot lock /etc/passwd' >&2; exit 1")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    with pytest.raises(PostgresFailure, match=r"cannot lock /etc/passwd.*useradd --system pgserver"):
        neon_postgres.account.__wrapped__()


def test_useradd_is_found_in_a_folder_that_path_lacks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    useradd(tmp_path, f'echo "$PATH" > {tmp_path}/searched')
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin")

    assert neon_postgres.account.__wrapped__().name == "pgserver"

    assert (tmp_path / "searched").read_text().strip().split(":")[-2:] == ["/usr/sbin", "/sbin"]


def test_the_creation_of_the_user_by_another_process_is_awaited(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    useradd(tmp_path, f"test -e {tmp_path}/tried && exit 9; touch {tmp_path}/tried; echo 'try again later' >&2; exit 1")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    # The user is missing at first and while /etc/passwd is locked, and then useradd reports that it exists.
    answers = iter([False, False, True])
    monkeypatch.setattr(neon_postgres, "_user_exists", lambda: next(answers))

    assert neon_postgres.account.__wrapped__().name == "pgserver"
