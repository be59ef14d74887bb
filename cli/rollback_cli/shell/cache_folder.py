"""Folder of the files that the command keeps on this machine. Every file may be lost without harm."""

import os
import secrets
from pathlib import Path

CACHE_VARIABLE = "ROLLBACK_CACHE_DIR"


def cache_folder() -> Path:
    """Return the folder: ROLLBACK_CACHE_DIR, else `rollback` in the user's folder of caches."""
    own = os.environ.get(CACHE_VARIABLE)
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111 - Path.home() may raise
    return Path(own) if own else Path(base) / "rollback"


def replace_file(file: Path, text: str) -> None:
    """Replace a file in one step, readable by its owner alone: another command may write at the same time.

    Raises:
        OSError: the folder or the file can't be written.
    """
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
        unfinished.replace(file)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
