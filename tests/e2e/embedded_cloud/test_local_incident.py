"""A newcomer's own incident, by the commands of docs/local-incident.md: up, ship, watch, roll back by hand, down."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e.live import wait_for
from e2e.processes import ROLLBACK, process_start_ticks, run

pytestmark = pytest.mark.e2e


class Newcomer:
    """Types commands in a directory of their own."""

    def __init__(self, folder: Path) -> None:
        self.cloud = {"ROLLBACK_LOCAL_FOLDER": str(folder)}
        self.log = folder / "output.log"

    def evaluate_env(self) -> None:
        """Take the variables of `rollback local env` into the shell."""
        exports = re.findall(r"^export (\w+)=(.*)$", self.type("local", "env"), re.MULTILINE)
        self.cloud |= dict(exports)

    def type(self, *words: str, code: int = 0) -> str:
        process = run([ROLLBACK, *words], self.cloud, seconds=400)
        assert process.returncode == code, process.stdout
        assert "Traceback" not in process.stdout
        return process.stdout

    def wait_for_event(self, pattern: str) -> None:
        """Wait until the output of the cloud shows an event; reading it costs the busy machine nothing."""
        wait_for(lambda: re.search(pattern, self.log.read_text()))


@pytest.fixture
def newcomer(tmp_path: Path) -> Iterator[Newcomer]:
    typed = Newcomer(tmp_path / "cloud")
    yield typed
    typed.type("local", "down")


def test_a_newcomer_plays_an_incident_and_rolls_back_by_hand(newcomer: Newcomer, tmp_path: Path) -> None:
    said = newcomer.type("local", "up", "--deploy", "--detach", "--port", "0")
    (process_id,) = map(int, re.findall(r"in the background, process (\d+)", said))
    newcomer.evaluate_env()
    newcomer.wait_for_event(r"release v1\.0\.0 is promoted")
    assert re.search(r"\truns\tinfo\tv1\.0\.0 \(promoted\)", newcomer.type("status", "production"))

    # Wrong words change nothing.
    assert "was shipped already" in newcomer.type("local", "ship", "v1.0.0", code=2)
    assert "--migrate needs a database" in newcomer.type("local", "ship", "v1.0.1", "--migrate", code=2)
    assert "runs already" in newcomer.type("local", "up", "--port", "0", code=2)

    # A good release is promoted, the bad one after it is rolled back to it.
    assert "is promoted" in newcomer.type("local", "ship", "v1.1.0")
    newcomer.wait_for_event(r"release v1\.1\.0 is promoted")
    assert "60% of its requests" in newcomer.type("local", "ship", "v1.2.0", "--behaves", "errors")
    newcomer.wait_for_event(r"succeeded and concluded: v1\.2\.0 → v1\.1\.0")
    history = newcomer.type("history", "production")
    assert re.search(r"\tv1\.2\.0\tquarantined\t", newcomer.type("versions", "production"))
    (rollback_id,) = re.findall(r"\t(express-api-\S+)\t\S+\talarm\tservice\tsucceeded\t", history)
    assert "v1.2.0" in newcomer.type("report", "production", rollback_id)

    # Users see the good release again.
    answers = newcomer.type("local", "traffic", "--seconds", "3", "--rps", "5")
    assert re.search(r"200: \d+ .*\|  v1\.1\.0 \d+$", answers, re.MULTILINE), answers
    assert "500:" not in answers

    # An operator goes further back, to a version.
    by_hand = ("start", "production", "--target-version", "v1.0.0", "--reason", "try it", "--yes")
    assert "succeeded" in newcomer.type(*by_hand)
    assert re.search(r"\truns\tinfo\tv1\.0\.0 ", newcomer.type("status", "production"))

    assert "has ended" in newcomer.type("local", "down")
    wait_for(lambda: not process_start_ticks(process_id))
    assert not (tmp_path / "cloud").exists()
    assert "no local cloud runs" in newcomer.type("local", "env", code=2)
