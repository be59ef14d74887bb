"""Root needs a user that Postgres runs as: made where it is missing, or it is said why it could not be."""

import os
import pwd
from pathlib import Path

import pytest

from local_cloud import neon_postgres
from local_cloud.neon_postgres import PostgresFailure


@pytest.fixture(autouse=True)
def _root_without_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(name: str) -> pwd.struct_passwd:
        raise KeyError(name)

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(pwd, "getpwnam", nobody)


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
    monkeypatch.setattr(neon_postgres, "_can_execute", lambda: True)

    assert neon_postgres.account.__wrapped__().name == "pgserver"

    assert (tmp_path / "searched").read_text().strip().split(":")[-2:] == ["/usr/sbin", "/sbin"]
