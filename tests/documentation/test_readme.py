"""The README: short, true about the licence, and with the parts that a newcomer looks for."""

import re
from itertools import pairwise

from documentation.pages import ROOT, blocks_of

README = ROOT / "README.md"


def test_the_readme_has_at_most_120_lines() -> None:
    assert len(README.read_text().splitlines()) <= 120


def test_the_readme_has_its_parts_in_order() -> None:
    headings = re.findall(r"^## (.+)$", README.read_text(), re.MULTILINE)
    assert headings == ["Try it", "Deploy to AWS", "Operate", "Where things are"]
    assert "docs/images/report.png" in README.read_text()


def test_the_readme_says_that_no_licence_is_chosen_as_long_as_there_is_none() -> None:
    has_licence = any(ROOT.glob("LICEN[CS]E*"))
    assert ("No licence is chosen yet" in README.read_text()) is not has_licence


def test_two_commands_are_followed_by_their_output() -> None:
    blocks = blocks_of(README)
    pairs = [
        command.text
        for command, output in pairwise(blocks)
        if command.language == "bash" and output.language == "text" and output.line - command.line <= 6
    ]
    assert pairs == ["make demo", "rollback verify production"]


def test_every_folder_that_the_readme_names_exists() -> None:
    places = re.findall(r"`([a-z_]+(?:/[a-z_]+)*)/`", README.read_text())
    assert len(places) >= 8
    assert [place for place in places if not (ROOT / place).is_dir()] == []
