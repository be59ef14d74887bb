"""The commands of docs/getting-started.md, typed in their order on the embedded cloud."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from documentation.pages import ROOT, blocks_of
from documentation.shell import read_commands
from e2e.live import wait_for
from e2e.processes import ROLLBACK, run

pytestmark = pytest.mark.e2e
PAGE = ROOT / "docs" / "getting-started.md"
IN_BACKGROUND = ("--detach", "--port", "0")  # the page's first terminal
_ID = re.compile(r"express-api-\d{8}T\d{9}Z-[0-9a-f]{8}")


def incident() -> list[tuple[str, ...]]:
    """List the commands of the page's own incident: all from `rollback local up` on."""
    commands = [
        command.words
        for block in blocks_of(PAGE)
        if block.language == "bash"
        for command in read_commands(block.text)
        if command.program == "rollback"
    ]
    first = next(number for number, words in enumerate(commands) if words[:3] == ("rollback", "local", "up"))
    return [words[1:] for words in commands[first:]]


class Reader:
    """Types what the page says, and waits where the page says so."""

    def __init__(self, folder: Path) -> None:
        self._cloud = {"ROLLBACK_LOCAL_FOLDER": str(folder)}
        self._rollback_id = "ID"

    def type(self, *words: str, codes: frozenset[int] = frozenset({0})) -> str:
        process = run([ROLLBACK, *words], self._cloud, seconds=400)
        assert "Traceback" not in process.stdout, process.stdout
        assert process.returncode in codes, f"{words}: {process.returncode}\n{process.stdout}"
        return process.stdout

    def follow(self, words: tuple[str, ...]) -> None:
        """Type a command of the page, and wait for what the page announces."""
        match words:
            case ("local", "up", *options):
                self.type("local", "up", *options, *IN_BACKGROUND)
                exports = re.findall(r"^export (\w+)=(.*)$", self.type("local", "env"), re.MULTILINE)
                self._cloud |= dict(exports)
                self._wait_for(r"v1\.0\.0 \(promoted\)")
            case ("local", "ship", version):
                self.type("local", "ship", version)
                self._wait_for(rf"{re.escape(version)} \(promoted\)")
            case ("local", "ship", _, "--behaves", _):
                self.type(*words)
                self._rollback_id = wait_for(self._find_succeeded)
                self._wait_for(r"none in progress")
            case ("start", *_):
                self.type(*words, "--yes")
            case ("doctor", *_):
                self.type(*words, codes=frozenset({0, 1}))  # tests/e2e/doctor judges its findings
            case _:
                self.type(*(self._rollback_id if word == "ID" else word for word in words))

    def _wait_for(self, pattern: str) -> None:
        wait_for(lambda: re.search(pattern, self.type("status", "production")))

    def _find_succeeded(self) -> str | None:
        for line in self.type("history", "production").splitlines():
            if "alarm" in line and "succeeded" in line and (match := _ID.search(line)):
                return match.group()
        return None


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    opened = Reader(tmp_path / "cloud")
    yield opened
    opened.type("local", "down", codes=frozenset({0, 2}))  # 2: the page has ended it


def test_every_command_of_the_page_does_its_work(reader: Reader) -> None:
    commands = incident()
    assert len(commands) >= 12
    for words in commands:
        reader.follow(words)
    assert commands[-1] == ("local", "down")
