"""Folder of the files that the command keeps on this machine. Every file may be lost without harm."""

import os
from pathlib import Path

CACHE_VARIABLE = "ROLLBACK_CACHE_DIR"


def cache_folder() -> Path:
    """Return the folder: ROLLBACK_CACHE_DIR, else `rollback` in the user's folder of caches."""
    own = os.environ.get(CACHE_VARIABLE)
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111 - Path.home() may raise
    return Path(own) if own else Path(base) / "rollback"
