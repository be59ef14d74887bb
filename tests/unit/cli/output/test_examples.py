"""Examples of `docs/output.md`, run in a shell as they stand there."""

import re
import shlex
import shutil
import subprocess
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from simulations.reading import rolled_back
from simulations.terminal import At
from support.builders import NOW, SERVICE, image

from rollback_cli.output.schemas import schema_files
from rollback_cli.verbs.rollbacks import metrics

PAGE = (Path(__file__).parents[4] / "docs" / "output.md").read_text()
EXAMPLES = re.findall(r"^    (rollback [^|\n]+?) \| (.+?)   # → (.+)$", PAGE, re.MULTILINE)


def test_every_example_of_the_page_has_an_output() -> None:
    assert len(EXAMPLES) == PAGE.count("\n    rollback ") > 8


@pytest.mark.parametrize(("command", "filters", "expected"), EXAMPLES)
def test_an_example_of_the_page_prints_what_the_page_says(
    command: str, filters: str, expected: str, terminal: At, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "jq" in filters and shutil.which("jq") is None:
        pytest.skip("jq is not installed on this machine")

    class Later(datetime):
        @classmethod
        def now(cls, tz: object = None) -> "Later":
            return cls.fromtimestamp((NOW + timedelta(hours=1)).timestamp(), NOW.tzinfo)

    monkeypatch.setattr(metrics, "datetime", Later)
    simulation = rolled_back()
    names = {"ID": next(simulation.ledger.history(SERVICE)).id, "IMAGE": image("v1")}
    _, *words = (names.get(word, word) for word in shlex.split(command))
    type_ = terminal(simulation)
    type_(*words)
    process = subprocess.run(
        ["bash", "-o", "pipefail", "-c", filters],
        input=type_.output, capture_output=True, text=True, check=False, timeout=90,
    )  # fmt: skip
    assert (process.stdout.strip(), process.returncode) == (expected, 0), process.stderr


def test_the_page_links_every_schema() -> None:
    assert set(re.findall(r"\(schemas/([^)]+)\)", PAGE)) == {name for name, _ in schema_files()}
