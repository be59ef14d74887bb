"""Rules of `prose.py`: each with a text that breaks it and one that keeps it."""

from pathlib import Path

import pytest
from static_analysis import prose

ROOT = Path(prose.__file__).parents[2]
# Paths that keep the rules; `make check` checks the same. The rest of `prose.CHECKED` is still to be reworded.
LONG = " ".join(["word"] * 31)
SHORT = " ".join(["word"] * 30)


def found(tmp_path: Path, source: str, name: str = "lambdas/module.py") -> list[tuple[str, int]]:
    """Check a file of a repository that has nothing else; return rules and lines of the findings."""
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source)
    prose.documented_by_protocols.cache_clear()
    return [(finding.rule, finding.line) for finding in prose.check_file(path, tmp_path).findings]


@pytest.mark.parametrize("word", ["Of", "What", "Who", "By", "Whoever", "Nobody", "what", "“Of"])
@pytest.mark.parametrize(
    "source",
    ['"""{} a release is."""', "# {} a release is", "x = 1  # {} a release is", 'raise KeyError("{} a release is")'],
    ids=["docstring", "comment", "trailing comment", "message"],
)
def test_a_forbidden_opening_is_found(tmp_path: Path, source: str, word: str) -> None:
    assert found(tmp_path, source.format(word), "tests/module.py")[0] == ("opening", 1)


@pytest.mark.parametrize(
    "source",
    [
        '"""Releases of a service."""',
        "# Offer the release, whatever it is",
        "# `what` is a release",
        '"""By-products of a release."""',
        'raise KeyError("Releases of what a service was")',
        'names = "of what who by a b c".split()',
        'assert "what a release is" in text',
        'text = first + "of the last release"',
        "text = f\"releases {'of the last week' if last else ''}\"",
        'text = ", of the last release"',
        'query = "who"',
    ],
)
def test_an_opening_with_a_subject_or_in_the_middle_of_a_text_is_kept(tmp_path: Path, source: str) -> None:
    assert found(tmp_path, source, "tests/module.py") == []


@pytest.mark.parametrize(
    ("source", "line"),
    [
        (f'"""Module.\n\n{LONG}."""', 3),
        (f'"""Module.\n\nRaises:\n    KeyError: {LONG}."""', 4),
        (f"# {LONG[:80]}\n# {LONG[80:]}", 1),
        (f"x = 1\n# A list:\n# - {SHORT}\n# - {LONG}", 4),
        (f'raise KeyError("{LONG}")', 1),
        (f'raise KeyError(f"{SHORT} {{name}}")', 1),
        (f'raise KeyError(\n    "{SHORT} "\n    "word"\n)', 2),
        (f"# {SHORT}; word", 1),
        (f"# {SHORT}: word", 1),
        (f"# {SHORT} e.g. this", 1),
        (f"x = 1  # noqa: X1 - {LONG}", 1),
    ],
)
def test_a_long_sentence_is_found(tmp_path: Path, source: str, line: int) -> None:
    assert found(tmp_path, source, "tests/module.py") == [("long", line)]


@pytest.mark.parametrize(
    "source",
    [
        f'"""Module.\n\n{SHORT}. {SHORT}."""',
        f'"""Module.\n\nRaises:\n    KeyError: {SHORT[5:]}.\n    OSError: {SHORT[5:]}."""',
        f"# {SHORT}\n\n# {SHORT}",
        f"x = 1  # {SHORT}\ny = 2  # {SHORT}",
        f"# - {SHORT}\n# - {SHORT}",
        f'"""Module.\n\n{SHORT[5:]} `one command with many words`."""',
        f"# {SHORT[5:]} https://example.com/of?what=a-page",
        f'raise KeyError(f"{SHORT[5:]} {{name.of.many + parts}}")',
        f'raise KeyError("{SHORT}\\n{SHORT}")',
        f'query = "SELECT {LONG}"',
        f'script = "x = 1;\\n{LONG};\\n"',
        f'"""Module.\n\nFor example\n\n    {LONG}\n    {LONG}\n"""',
        f'"""Module.\n\nError\n├── {LONG}\n└── {SHORT}\n"""',
    ],
)
def test_sentences_of_thirty_words_are_kept(tmp_path: Path, source: str) -> None:
    assert found(tmp_path, source, "tests/module.py") == []


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        (f"# Title\n\n{LONG}", [3]),
        (f"- {SHORT}\n- {SHORT}\n  word", [2]),
        (f"| a | b |\n|---|---|\n| {SHORT} | {SHORT} |\n| {LONG} | b |", [4]),
        (f"# {SHORT}\n{SHORT}\n\n{SHORT}\n## {SHORT}", []),
        (f"```sh\n{LONG}\n```\n\n    {LONG}\n    {LONG}\n\nText.", []),
        (f"1. {SHORT[5:]}\n   [link](https://example.com)\n\n2. {SHORT}", []),
    ],
    ids=["paragraph", "list", "table", "headings", "code", "numbers"],
)
def test_markdown_is_read_by_paragraphs_items_and_cells(tmp_path: Path, source: str, lines: list[int]) -> None:
    assert found(tmp_path, source, "docs/page.md") == [("long", line) for line in lines]


def test_a_public_definition_without_docstring_is_found_in_product_code_alone(tmp_path: Path) -> None:
    source = '''"""Module."""
def run(): ...
class Release:
    def __init__(self): ...
    def _count(self): ...
    def count(self): ...
class _Hidden:
    def count(self): ...
'''
    assert found(tmp_path, source) == [("missing", 2), ("missing", 3), ("missing", 6)]
    assert found(tmp_path, source, "tests/module.py") == []


def test_a_method_that_a_protocol_documents_needs_no_docstring(tmp_path: Path) -> None:
    source = '''"""Module."""
class Port(Protocol):
    """Port."""
    def read(self, name: str) -> str:
        """Read an item."""
    def write(self, name: str) -> None: ...
class Adapter:
    """Adapter."""
    def read(self, name: str) -> str: ...
    def write(self, name: str) -> None: ...
    @override
    def end(self) -> None: ...
class Other:
    """Other adapter."""
    def read(self) -> str: ...
'''
    assert found(tmp_path, source) == [("missing", 6), ("missing", 10), ("missing", 15)]


@pytest.mark.parametrize(
    ("docstring", "returns", "rules"),
    [
        ("Why a release failed.", "str", ["subject"]),
        ("It reads the release.", "str", ["subject"]),
        ("From the newest release to the oldest.", "str", ["subject"]),
        ("None: there is no release.", "str", ["subject"]),
        ("Its release.", "str", ["subject"]),
        ("Whether a release failed.", "str", ["subject"]),
        ("Whether a release failed.", "bool", []),
        ("Who released it.", "str", ["opening", "subject"]),
        ("Read the release.", "str", []),
        ("`what` is the name of a release.", "str", []),
        ("ECS's answer about a release.", "str", []),
        ("Each release once.", "str", []),
    ],
)
def test_a_public_docstring_begins_with_a_verb_or_a_noun_phrase(
    tmp_path: Path, docstring: str, returns: str, rules: list[str]
) -> None:
    source = f'"""Module."""\ndef run() -> {returns}:\n    """{docstring}"""\n'
    assert [rule for rule, _ in found(tmp_path, source)] == rules
    assert "subject" not in dict(found(tmp_path, source.replace("run", "_run")))
    assert "subject" not in dict(found(tmp_path, source, "tests/module.py"))


@pytest.mark.parametrize(
    ("docstring", "rules"),
    [
        ("the newest release", ["fragment"]),
        ("The newest release.", []),
        ("boto3's answer.", []),
        ("`name` of a release.", []),
        ("https://example.com/page: the source of a rule.", []),
    ],
)
def test_a_docstring_that_begins_in_lower_case_is_a_fragment(tmp_path: Path, docstring: str, rules: list[str]) -> None:
    assert [rule for rule, _ in found(tmp_path, f'"""{docstring}"""', "tests/module.py")] == rules


def test_findings_and_totals_are_printed_and_fail_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found(tmp_path, '"""Of a release."""')
    found(tmp_path, f"{LONG}", "docs/page.md")
    found(tmp_path, f"{LONG}", "tests/fixtures/page.md")
    assert prose.main(["--root", str(tmp_path)]) == 1
    output = capsys.readouterr().out
    assert "lambdas/module.py:1: opening: Of a release." in output
    assert "docs/page.md:1: long: (31 words) word word word word word word word word …" in output
    assert "fixtures" not in output
    assert "2 files, 1 docstrings (0 keep the rules), 3 findings" in output

    assert prose.main(["--root", str(tmp_path), "--count", str(tmp_path / "lambdas")]) == 1
    output = capsys.readouterr().out
    assert "module.py:1" not in output
    assert "1 files, 1 docstrings (0 keep the rules), 2 findings" in output

    found(tmp_path, '"""Releases."""')
    assert prose.main(["--root", str(tmp_path), str(tmp_path / "lambdas")]) == 0


@pytest.mark.parametrize("path", [path for path in prose.CHECKED if (ROOT / path).exists()])
def test_no_text_of_this_repository_breaks_a_rule(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert (ROOT / "pyproject.toml").exists()
    assert prose.main(["--root", str(ROOT), str(ROOT / path)]) == 0, capsys.readouterr().out
