"""The site as MkDocs builds it: strict, complete, and without anything from another server."""

import json
import re
from pathlib import Path

import pytest
from documentation.pages import ROOT
from documentation.site_build import WHY_NOT, build_site

from publishing.command_reference import list_commands, render_commands
from publishing.links import rewrite_links
from publishing.narrow_tables import label_cells
from publishing.settings_reference import list_groups, render_settings
from rollback_constructs.settings.environment import Application, Environment

needs_tools = pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))
_LOADED = re.compile(
    r"<(?:script|img|iframe|source)\b[^>]*\bsrc=\"?(https?:)?//|<link\b(?![^>]*rel=\"?(?:canonical|prev|next))[^>]*href=\"?(https?:)?//"
)
_UNRENDERED = re.compile(r"<p>(?:(?!</p>).)*?\n(?:- |\d+\. |\| |```)", re.DOTALL)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    process = build_site(folder)
    assert process.returncode == 0, process.stdout + process.stderr
    return folder


@needs_tools
def test_the_site_has_a_page_for_every_source(site: Path) -> None:
    sources = {path.relative_to(ROOT / "docs").with_suffix("") for path in (ROOT / "docs").rglob("*.md")}
    pages = {path.relative_to(site).with_suffix("") for path in site.rglob("*.html")}
    assert sources - pages == set()
    assert {Path("reference/settings"), Path("reference/commands"), Path("project/CHANGELOG")} <= pages


@needs_tools
def test_no_page_loads_anything_from_another_server(site: Path) -> None:
    loading = [
        f"{page.relative_to(site)}: {match.group()}"
        for page in site.rglob("*.html")
        for match in _LOADED.finditer(page.read_text())
    ]
    assert loading == []
    styles = [path.name for path in site.rglob("*.css") if re.search(r"url\(['\"]?https?:", path.read_text())]
    assert styles == []


@needs_tools
def test_lists_tables_and_blocks_are_rendered(site: Path) -> None:
    unrendered = [
        f"{page.relative_to(site)}: {match.group()[-80:]}"
        for page in site.rglob("*.html")
        for match in _UNRENDERED.finditer(page.read_text())
    ]
    assert unrendered == []


def test_a_list_without_an_empty_line_before_it_would_be_found() -> None:
    assert _UNRENDERED.search("<p>Two <b>things</b>:\n- one\n- two</p>")
    assert not _UNRENDERED.search("<p>Two things:</p>\n<ul>\n<li>one</li></ul>\n- no")


@needs_tools
def test_the_search_finds_a_setting_and_a_runbook(site: Path) -> None:
    index = json.loads((site / "search/search_index.json").read_text())
    locations = {document["location"].partition("#")[0] for document in index["docs"]}
    assert {"reference/settings.html", "runbooks/everything-gone.html"} <= locations


def test_a_missing_page_in_the_navigation_fails_the_build() -> None:
    configuration = (ROOT / "mkdocs.yml").read_text()
    assert "strict: true" in configuration
    assert re.search(r"omitted_files: warn", configuration)


def test_the_reference_of_settings_has_every_field_of_every_model() -> None:
    paths = {setting.path for group in list_groups() for setting in group.settings}
    schema = Environment.model_json_schema()
    fields = {f"application.{name}" for name in Application.model_fields}
    fields |= {f"environments.<name>.{name}" for name in schema["properties"]}
    assert fields <= paths
    last_parts = [path.rpartition(".")[2] for path in paths]
    for definition in schema["$defs"].values():
        assert set(definition.get("properties", {})) <= set(last_parts), definition["title"]
    page = render_settings()
    assert [path for path in paths if f"\n`{path.rpartition('.')[2]}`\n:   " not in page] == []


def test_every_setting_has_a_description() -> None:
    settings = [setting for group in list_groups() for setting in group.settings]
    assert [setting.path for setting in settings if not setting.description] == []


def test_a_default_limits_and_choices_are_in_the_reference() -> None:
    settings = {setting.path: setting for group in list_groups() for setting in group.settings}
    bake = settings["environments.<name>.policy.bake_minutes"]
    assert (bake.kind, bake.default) == ("number, above 0", "15")
    assert settings["environments.<name>.policy.mode"].kind == '`"act"` or `"observe"`'
    assert settings["environments.<name>.services[].name"].default is None
    assert settings["environments.<name>.services[].endpoints[].probes"].kind == "whole number, at least 1, at most 20"


def test_the_reference_of_commands_has_every_command_and_option() -> None:
    page = render_commands()
    commands = list_commands()
    assert {("start",), ("status",), ("local", "up")} <= {command.words for command in commands}
    for command in commands:
        _, _, section = page.partition(f"\n### rollback {' '.join(command.words)}\n")
        section = section.partition("\n### ")[0]
        assert command.description, command.words
        for parameter in command.parameters:
            assert f"`{parameter.names[0]}" in section, (command.words, parameter.names)
            assert parameter.description, (command.words, parameter.names)


def test_a_cell_has_the_name_of_its_column() -> None:
    headings = "<tr><th>A &amp; <code>b</code></th><th>C</th></tr>"
    page = f"<table>{headings}<tr><td>1</td><td align='left'>2</td></tr></table><td>"
    assert label_cells(page) == page.replace("<td>1", '<td data-column="A &amp; b">1').replace(
        "<td align", '<td data-column="C" align'
    )


def test_a_link_leads_to_the_page_that_the_site_has() -> None:
    pages = {"docs/a.md": "a.md", "docs/sub/b.md": "sub/b.md", "CHANGELOG.md": "project/CHANGELOG.md"}
    text = "[b](sub/b.md#x) [log](../CHANGELOG.md) [code](../stacks/assembly.py) [web](https://a.example) [here](#y)"
    assert rewrite_links(text, "docs/a.md", "a.md", pages) == (
        "[b](sub/b.md#x) [log](project/CHANGELOG.md) code (`stacks/assembly.py`) [web](https://a.example) [here](#y)"
    )
    assert rewrite_links("[a](docs/a.md)", "CHANGELOG.md", "project/CHANGELOG.md", pages) == "[a](../a.md)"
    assert rewrite_links("```\n[a](gone.md)\n```", "docs/a.md", "a.md", pages) == "```\n[a](gone.md)\n```"
