"""The user that Postgres runs as under root: made where it is missing, or the error says why it could not be made."""

import os
import pwd
from pathlib import Path

import pytest

from local_cloud.neon import postgres as neon_postgres
from local_cloud.neon.postgres import PostgresFailure


@pytest.fixture(autouse=True)
def _root_without_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(name: str) -> pwd.struct_passwd:
        raise KeyError(name)

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(pwd, "getpwnam", nobody)
    monkeypatch.setattr(neon_postgres, "_USER_SECONDS", 0.3)
    monkeypatch.setattr(neon_postgres, "_can_execute", lambda: True)


def useradd(folder: Path, script: str) -> None:
    program = folder / "useradd"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def test_a_refusal_says_why_and_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    useradd(tmp_path, "echo 'useradd: cannot lock /etc/passwd' >&2; exit 1")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    with pytest.raises(PostgresFailure, match=r"cannot lock /etc/passwd.*useradd --system pgserver"):
        neon_postgres.account.__wrapped__()


def test_the_program_is_found_where_the_path_does_not_lead(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    useradd(tmp_path, f'echo "$PATH" > {tmp_path}/searched')
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin")

    assert neon_postgres.account.__wrapped__().name == "pgserver"

    assert (tmp_path / "searched").read_text().strip().split(":")[-2:] == ["/usr/sbin", "/sbin"]


def test_another_process_that_makes_the_user_meanwhile_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    useradd(tmp_path, f"test -e {tmp_path}/tried && exit 9; touch {tmp_path}/tried; echo 'try again later' >&2; exit 1")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    looks = iter([False, False, True])  # before, after the locked file, after "user already exists"
    monkeypatch.setattr(neon_postgres, "_user_exists", lambda: next(looks))

    assert neon_postgres.account.__wrapped__().name == "pgserver"
