"""What a build makes of its inputs, kept by their content in the git-ignored `build/`: equal inputs are built once."""

import fcntl
import hashlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
_APP = ("app.py", "cdk.json", "constructs", "lambdas", "requirements.lock", "stacks")
_MAX_AGE_SECONDS = 24 * 60 * 60.0  # without use; each change of a source leaves some 30 MB behind


def get_or_build(
    kind: str, inputs: Iterable[str | bytes], make: Callable[[Path], None], build: Path = PROJECT / "build"
) -> Path:
    """The folder that `make` fills from these inputs; not to be changed.

    Another process that wants the same one meanwhile waits for it. What `make` left when it failed is never found.
    """
    cache_folder = build / kind
    folder = cache_folder / _key(inputs)
    cache_folder.mkdir(parents=True, exist_ok=True)
    with (cache_folder / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for unfinished in cache_folder.glob(f"unfinished-{folder.name}-*"):  # we hold the lock: who made it was killed
            shutil.rmtree(unfinished, ignore_errors=True)
        if not folder.exists():
            _delete_old_entries(cache_folder)
            with tempfile.TemporaryDirectory(prefix=f"unfinished-{folder.name}-", dir=cache_folder) as temporary:
                made = Path(temporary) / "made"
                made.mkdir()
                make(made)
                made.rename(folder)
        os.utime(folder)
    return folder


def file_contents(*paths: Path) -> Iterator[str | bytes]:
    """Names and bytes of files, and of all in folders but bytecode."""
    for path in paths:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file() and "__pycache__" not in file.parts:
                yield file.relative_to(PROJECT).as_posix()
                yield file.read_bytes()


def app_sources() -> Iterator[str | bytes]:
    """All that a synthesis depends on, but for its context."""
    yield sys.version
    yield from file_contents(*(PROJECT / name for name in _APP))


def _key(inputs: Iterable[str | bytes]) -> str:
    key = hashlib.sha256()
    for given in inputs:
        data = given.encode() if isinstance(given, str) else given
        key.update(len(data).to_bytes(8, "big") + data)
    return key.hexdigest()[:32]


def _delete_old_entries(cache_folder: Path) -> None:
    oldest = time.time() - _MAX_AGE_SECONDS
    for folder in cache_folder.iterdir():
        if folder.is_dir() and folder.stat().st_mtime < oldest:
            shutil.rmtree(folder, ignore_errors=True)
