"""Places of the functions' sources and of the build cache, in the repository and in an installed wheel.

The wheel carries the folder `lambdas` of the repository beside this module (`pyproject.toml`, `force-include`), because
an asset of the CDK is a folder with nothing else in it.
"""

import os
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[3]  # the repository; in a wheel it has no meaning
_PACKAGED_LAMBDAS = Path(__file__).resolve().parent / "lambdas"
IS_INSTALLED = _PACKAGED_LAMBDAS.is_dir()
LAMBDAS = _PACKAGED_LAMBDAS if IS_INSTALLED else PROJECT / "lambdas"
_CACHE_NAME = "macro-ai-rollback"


def cache_folder() -> Path:
    """Return the folder of the build cache: `build/` of the repository, or the user's cache if a wheel is installed.

    Source of the latter: XDG Base Directory Specification, `XDG_CACHE_HOME`; a relative path counts as not set.
    """
    if not IS_INSTALLED:
        return PROJECT / "build"
    configured = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(configured) if configured.startswith("/") else Path.home() / ".cache"
    return base / _CACHE_NAME


def source_name(file: Path) -> str:
    """Name a source file in the key of a build: the same in the repository and in an installed wheel."""
    for base, name in ((LAMBDAS, "lambdas"), (PROJECT, "")):
        if file.is_relative_to(base):
            return (Path(name) / file.relative_to(base)).as_posix()
    return file.as_posix()
