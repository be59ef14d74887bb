"""Temporary folders of this process: removed when it ends, or by the next process of ours if it was killed.

All of them lie in one folder per place, `rollback-local-PID-…`. Its owner holds a lock (`flock`) on a file in it as
long as the owner lives. The kernel gives the lock back when the process dies, however it dies: a lock that is free
proves that the owner is gone. A process id alone would not, since ids are used again and containers have their own.
"""

import atexit
import fcntl
import os
import secrets
import shutil
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

_PREFIX = "rollback-local-"
_LOCK = ".owner"
_REMOVAL_SECONDS = 5.0  # a child that is just ending may still write
_lock = threading.RLock()
_roots: dict[Path, Path] = {}
_locks: list[int] = []  # file descriptors


def make(purpose: str, place: Path | None = None) -> Path:
    """Make an empty folder, removed at the latest when this process ends.

    Args:
        purpose: the beginning of its name.
        place: the folder that it lies in, indirectly; the temporary directory by default.
    """
    return Path(tempfile.mkdtemp(prefix=f"{purpose}-", dir=_root(place or Path(tempfile.gettempdir()))))


def remove(folder: Path) -> None:
    """Remove a folder that `make` made; what is still being written into it is removed as well."""
    deadline = time.monotonic() + _REMOVAL_SECONDS
    while folder.exists():
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists() or time.monotonic() > deadline:
            return
        time.sleep(0.02)


def remove_all() -> None:
    """Remove all folders of this process. A thread that goes on can make none in them any more."""
    with _lock:
        for root in _roots.values():
            _remove_root(root)
            remove(_unfinished(root))
        _forget()


def remove_abandoned(place: Path) -> None:
    """Remove what processes of ours left in a place when they were killed. A living one's folder is never touched."""
    for root in place.glob(f"{_PREFIX}*"):
        with suppress(OSError), (root / _LOCK).open("r+") as lock:  # not ours, or gone meanwhile
            if root.lstat().st_uid == os.geteuid() and not root.is_symlink():
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove_root(root)


def _root(place: Path) -> Path:
    with _lock:
        if place not in _roots:
            remove_abandoned(place)
            # Recorded before it is made: an exception in between leaves nothing.
            _roots[place] = place / f"{_PREFIX}{os.getpid()}-{secrets.token_hex(3)}"
            try:
                _make_root(_roots[place])
            except OSError:
                del _roots[place]
                raise
        return _roots[place]


def _make_root(root: Path) -> None:
    unfinished = _unfinished(root)
    unfinished.mkdir(mode=0o711)  # to pass through: Postgres may run as another user, in a folder of its own
    lock = os.open(unfinished / _LOCK, os.O_CREAT | os.O_RDWR, 0o600)
    _locks.append(lock)
    with suppress(OSError):  # a file system without locks: then no process finds the folder abandoned
        fcntl.flock(lock, fcntl.LOCK_EX)
    unfinished.rename(root)  # gets its name with its lock: it never looks abandoned


def _unfinished(root: Path) -> Path:
    return root.with_name(f".{root.name}")


def _remove_root(root: Path) -> None:
    """The lock's file goes last: without it the rest would be nobody's."""
    for entry in root.iterdir() if root.exists() else ():
        if entry.is_dir():
            remove(entry)
    remove(root)


def _forget() -> None:
    """Also in a forked process: what is its parent's is not removed there."""
    _roots.clear()
    for lock in _locks:
        os.close(lock)
    _locks.clear()


atexit.register(remove_all)
os.register_at_fork(after_in_child=_forget)
