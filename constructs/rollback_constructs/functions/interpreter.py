"""The interpreter that compiles a bundle's bytecode: CPython of the same minor version as Lambda's runtime.

All final releases of a minor version write bytecode under one magic number, so a runtime of another patch release reads
it (CPython, `Include/internal/pycore_magic_number.h`). Another minor version would ignore it without a word.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from uv import find_uv_bin

_ASK = (
    "import json, platform, sys, sysconfig; print(json.dumps([platform.python_implementation(), "
    "'%d.%d' % sys.version_info[:2], sys.version_info.releaselevel, "
    "bool(sysconfig.get_config_var('Py_GIL_DISABLED'))]))"
)


class NoInterpreter(Exception):
    """No interpreter of the wanted version is on this machine, and uv could not fetch one."""


@cache
def find_interpreter(version: str) -> str:
    """Return the path of a CPython of a minor version, such as 3.13: this one, PATH's, pyenv's, or uv's.

    uv fetches the interpreter where the machine has none. The locked version of uv knows the release's address and
    checksum.

    Raises:
        NoInterpreter: none was found, and uv could not fetch one, for instance offline.
    """
    found = next((path for path in _candidates(version) if _is_usable(path, version)), None)
    if found is not None:
        return found
    install = _uv("python", "install", "--no-bin", version)
    installed = _uv("python", "find", "--managed-python", version).stdout.strip() if install.returncode == 0 else ""
    if installed and _is_usable(installed, version):
        return installed
    reason = (install.stderr.strip() or "its interpreter does not run").splitlines()[-1].strip()
    raise NoInterpreter(
        f"the bundle's bytecode needs CPython {version}, which is neither on the PATH nor in pyenv, and uv could not "
        f"fetch it ({reason}). Install it, for instance by `uv python install {version}`. Or set the context "
        "`rollback:bundle_bytecode` to `none`: then the functions compile their source at each cold start, and their "
        "import takes 2.6 times as long"
    )


def _candidates(version: str) -> Iterator[str]:
    yield sys.executable
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        candidate = Path(folder or ".", f"python{version}")
        if candidate.is_file():
            yield str(candidate)
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv", "versions")
    beside_this_one = Path(sys.base_prefix).parent  # pyenv's folder, also if neither HOME nor the variable names it
    for versions in dict.fromkeys((pyenv, beside_this_one)):
        yield from (str(path) for path in sorted(versions.glob(f"{version}.*/bin/python{version}")))
    if managed := _uv("python", "find", "--managed-python", "--no-python-downloads", version).stdout.strip():
        yield managed


def _uv(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([find_uv_bin(), *arguments], capture_output=True, text=True, check=False)


def _is_usable(path: str, version: str) -> bool:
    """Whether a program is the wanted interpreter; a shim of pyenv may be a program that only fails."""
    try:
        answer = subprocess.run([path, "-I", "-S", "-c", _ASK], capture_output=True, text=True, check=False)
        return bool(json.loads(answer.stdout) == ["CPython", version, "final", False])
    except (OSError, ValueError):
        return False
