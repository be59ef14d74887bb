"""moto still needs each fix of `local_cloud.moto_fixes`. A failure names a fix that can be deleted."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from contract.local_cloud.moto.unfixed_moto import PROBES

from local_cloud import moto_fixes

FOLDER = Path(str(moto_fixes.__file__)).parent
# Parts of other fixes: facts about AWS's pages, and the replacement of a function in several modules.
PARTS = {"pagination_model.py", "step_functions/rebind.py"}


def _fixes() -> set[str]:
    files = {file.relative_to(FOLDER).as_posix() for file in FOLDER.rglob("*.py") if file.name != "__init__.py"}
    return files - PARTS


@pytest.fixture(scope="module")
def results() -> dict[str, bool | str]:
    """Run the probes in a process of their own, in which no test has installed a fix."""
    script = Path(__file__).parent / "unfixed_moto.py"
    process = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr[-2000:]
    parsed: dict[str, bool | str] = json.loads(process.stdout.splitlines()[-1])
    return parsed


@pytest.mark.parametrize("probe", PROBES)
def test_moto_still_needs_the_fix(probe: str, results: dict[str, bool | str]) -> None:
    fix = PROBES[probe].fix
    assert results[probe] is True, (
        f"{probe} is no longer true ({results[probe]}): moto has what local_cloud/moto_fixes/{fix} replaces. "
        f"Delete the fix and its probe, and the line in moto_fixes/__init__.py"
    )


def test_each_fix_has_a_probe() -> None:
    assert {probe.fix for probe in PROBES.values()} == _fixes()


def test_the_table_of_fixes_lists_each_fix_and_its_probes() -> None:
    table = moto_fixes.__doc__ or ""
    assert [name for name in sorted(_fixes() | PROBES.keys()) if f"`{name}`" not in table] == []
