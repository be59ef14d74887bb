"""Mutation tests of the pure core: change the code a little, and see whether a test notices.

Usage: `python tests/mutation/run.py [--jobs N] [--tests PATH ...] FILE ...`, see `README.md` beside this file. FILE is
relative to `lambdas/rollback`, such as `schema/compatibility.py`.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
TOOL = ROOT / "build" / "mutmut"
WORK = ROOT / "build" / "mutation"  # has a folder for each set of files
# mutmut names a mutant by its file's path, from which it takes the prefix `src.` only. So all packages lie in `src`.
PACKAGES = ("lambdas/rollback", "cli/rollback_cli", "constructs/rollback_constructs", "local/local_cloud")
CONFIGURATION = """
[tool.pytest.ini_options]
addopts = "--import-mode=importlib -q --strict-markers -p no:cacheprovider -p no:xdist"
pythonpath = ["tests"]
filterwarnings = ["error"]
markers = ["e2e: the whole system on the embedded cloud"]

[tool.mutmut]
source_paths = ["src"]
only_mutate = {files}
pytest_add_cli_args_test_selection = {tests}
track_dependencies = false
use_git_change_detection = false
"""
# Appended to the copy of tests/conftest.py: a surviving mutant runs every example of every property.
FEWER_EXAMPLES = """
settings.register_profile("mutation", settings.get_profile("patient"), max_examples=20, derandomize=True)
settings.load_profile("mutation")
"""
# Appended, so that the virtual environment's own pytest is used.
MUTMUT = "import sys; sys.path.append(sys.argv.pop(1)); from mutmut.__main__ import cli; "
RUN = MUTMUT + "cli()"
SHOW = MUTMUT + "[cli(['show', name], standalone_mode=False) for name in sys.argv[1:]]"  # one start for all mutants


def prepare(work: Path, files: list[str], tests: list[str]) -> None:
    """Copy the packages and the tests into a work directory, and configure mutmut there."""
    shutil.rmtree(work, ignore_errors=True)
    skipped = shutil.ignore_patterns("__pycache__", "mutation")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, work / "src" / Path(package).name, ignore=skipped)
    shutil.copytree(ROOT / "tests", work / "tests", ignore=skipped)
    with (work / "tests" / "conftest.py").open("a") as conftest:
        conftest.write(FEWER_EXAMPLES)
    mutated = json.dumps([f"src/rollback/{file}" for file in files])
    (work / "pyproject.toml").write_text(CONFIGURATION.format(files=mutated, tests=json.dumps(tests)))


def mutmut(work: Path, *arguments: str, code: str = RUN) -> subprocess.CompletedProcess[str]:
    """Run mutmut in the work directory, with `RUN` or `SHOW` as the code."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable, "-c", code, str(TOOL), *arguments],
        cwd=work,
        env={**inherited, "PYTHONDONTWRITEBYTECODE": "1"},
        text=True,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def main() -> int:
    """Print the score and the difference of each mutant that no test noticed."""
    parser = argparse.ArgumentParser(description="Mutation tests of the pure core.")
    parser.add_argument("files", nargs="+", metavar="FILE", help="below lambdas/rollback, such as domain/plan.py")
    parser.add_argument("--jobs", default="2")
    parser.add_argument("--tests", nargs="+", help="default: the folders of tests/unit that mirror the files")
    given = parser.parse_args()
    tests = given.tests or sorted({f"tests/unit/{file.partition('/')[0]}" for file in given.files})
    work = WORK / "-".join(Path(file).stem for file in given.files)
    prepare(work, given.files, tests)
    ran = mutmut(work, "run", "--max-children", given.jobs)
    results = mutmut(work, "results", "--all", "true").stdout
    outcomes = dict(line.strip().rsplit(": ", 1) for line in results.splitlines() if ": " in line)
    if not outcomes:
        print(ran.stdout[-5000:], results)
        return 1
    survivors = [name for name, outcome in outcomes.items() if outcome in ("survived", "no tests")]
    print(mutmut(work, *survivors, code=SHOW).stdout)
    counts = Counter(outcomes.values())
    print(f"{len(outcomes)} mutants: {', '.join(f'{count} {outcome}' for outcome, count in counts.most_common())}")
    print(f"score: {100 * (1 - len(survivors) / len(outcomes)):.1f} %")
    return 0


if __name__ == "__main__":
    sys.exit(main())
