"""Cache of builds, keyed by the content of their inputs: equal inputs are built once.

It is in the git-ignored `build/`, or in the user's cache folder if a wheel is installed (`sources.cache_folder`).
"""

import fcntl
import hashlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from rollback_constructs.functions.sources import PROJECT, cache_folder, source_name

_APP = ("app.py", "cdk.json", "constructs", "lambdas", "requirements.lock", "stacks")
_MAX_AGE_SECONDS = 24 * 60 * 60.0  # since the last use of a folder; each change of a source adds some 30 MB


class CacheNotWritable(Exception):
    """The cache folder can't be made; the message names it, and the variable that names another."""


def get_or_build(
    kind: str, inputs: Iterable[str | bytes], make: Callable[[Path], None], build: Path | None = None
) -> Path:
    """Return the folder that `make` fills from these inputs; the caller must not change it.

    Another process that needs the same folder waits for it. A folder whose build failed is never returned.

    Args:
        kind: folder of the builds of this kind.
        inputs: names and contents that determine the result.
        make: fills an empty folder.
        build: folder of the cache; None: that of the repository or of the user.

    Raises:
        CacheNotWritable: this user can't write to the cache folder.
    """
    kind_folder = (build or cache_folder()) / kind
    folder = kind_folder / _key(inputs)
    try:
        kind_folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CacheNotWritable(f"{kind_folder} can't be made ({error.strerror}); set XDG_CACHE_HOME") from error
    with (kind_folder / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # This process has the lock, so the builder of an unfinished folder was killed.
        for unfinished_folder in kind_folder.glob(f"unfinished-{folder.name}-*"):
            shutil.rmtree(unfinished_folder, ignore_errors=True)
        if not folder.exists():
            _delete_old_entries(kind_folder)
            with tempfile.TemporaryDirectory(prefix=f"unfinished-{folder.name}-", dir=kind_folder) as temporary:
                result = Path(temporary) / "result"
                result.mkdir()
                make(result)
                result.rename(folder)
        os.utime(folder)
    return folder


def file_contents(*paths: Path) -> Iterator[str | bytes]:
    """Return names and bytes of files, and of all files in folders except bytecode."""
    for path in paths:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file() and "__pycache__" not in file.parts:
                yield source_name(file)
                yield file.read_bytes()


def app_sources() -> Iterator[str | bytes]:
    """Return all inputs of a synthesis of the repository's app, except its context."""
    yield sys.version
    yield from file_contents(*(PROJECT / name for name in _APP))


def _key(inputs: Iterable[str | bytes]) -> str:
    key = hashlib.sha256()
    for part in inputs:
        data = part.encode() if isinstance(part, str) else part
        key.update(len(data).to_bytes(8, "big") + data)
    return key.hexdigest()[:32]


def _delete_old_entries(kind_folder: Path) -> None:
    oldest = time.time() - _MAX_AGE_SECONDS
    for folder in kind_folder.iterdir():
        if folder.is_dir() and folder.stat().st_mtime < oldest:
            shutil.rmtree(folder, ignore_errors=True)
