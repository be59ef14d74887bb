"""Temporary folders of this process. They are removed when it ends, or by the next process if it was killed.

The folders of one place lie in `rollback-local-PID-…`. While the owner lives, it holds a lock (`flock`) on a file
there. The kernel releases the lock when the owner dies, so a free lock proves that the owner is gone. A process id
would not prove this, since ids are used again and containers have their own.
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
_REMOVAL_SECONDS = 5.0  # a child that is ending may still write
_lock = threading.RLock()
_roots: dict[Path, Path] = {}
_locks: list[int] = []  # file descriptors


def make(purpose: str, place: Path | None = None) -> Path:
    """Make an empty folder, which is removed when this process ends.

    Args:
        purpose: beginning of the folder's name.
        place: a folder above it; None: the temporary directory.
    """
    return Path(tempfile.mkdtemp(prefix=f"{purpose}-", dir=_root(place or Path(tempfile.gettempdir()))))


def remove(folder: Path) -> None:
    """Remove a folder that `make` made, even if a child still writes into it."""
    deadline = time.monotonic() + _REMOVAL_SECONDS
    while folder.exists():
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists() or time.monotonic() > deadline:
            return
        time.sleep(0.02)


def remove_all() -> None:
    """Remove all folders of this process. A running thread can't make another in them afterwards."""
    with _lock:
        for root in _roots.values():
            _remove_root(root)
            remove(_unfinished(root))
        _forget()


def remove_abandoned(place: Path) -> None:
    """Remove the folders that killed processes left in a place. The folder of a living process stays."""
    for root in place.glob(f"{_PREFIX}*"):
        with suppress(OSError), (root / _LOCK).open("r+") as lock:  # another user's, locked, or already removed
            if root.lstat().st_uid == os.geteuid() and not root.is_symlink():
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove_root(root)


def _root(place: Path) -> Path:
    with _lock:
        if place not in _roots:
            remove_abandoned(place)
            # Recorded before it is made, so an exception in between leaves nothing behind.
            _roots[place] = place / f"{_PREFIX}{os.getpid()}-{secrets.token_hex(3)}"
            try:
                _make_root(_roots[place])
            except OSError:
                del _roots[place]
                raise
        return _roots[place]


def _make_root(root: Path) -> None:
    unfinished = _unfinished(root)
    unfinished.mkdir(mode=0o711)  # Postgres may run as another user, and must pass through
    lock = os.open(unfinished / _LOCK, os.O_CREAT | os.O_RDWR, 0o600)
    _locks.append(lock)
    with suppress(OSError):  # a file system without locks: no process finds the folder abandoned
        fcntl.flock(lock, fcntl.LOCK_EX)
    unfinished.rename(root)  # named after it is locked, so it never looks abandoned


def _unfinished(root: Path) -> Path:
    return root.with_name(f".{root.name}")


def _remove_root(root: Path) -> None:
    """Remove a folder, its lock file last: without that file no process would remove the rest."""
    for entry in root.iterdir() if root.exists() else ():
        if entry.is_dir():
            remove(entry)
    remove(root)


def _forget() -> None:
    """Forget all folders. A forked process must not remove those of its parent."""
    _roots.clear()
    for lock in _locks:
        os.close(lock)
    _locks.clear()


atexit.register(remove_all)
os.register_at_fork(after_in_child=_forget)
