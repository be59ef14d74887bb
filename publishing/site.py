"""Hooks of MkDocs (https://www.mkdocs.org/user-guide/configuration/#hooks): generated pages, links, and Mermaid."""

from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from publishing.command_reference import render_commands
from publishing.links import rewrite_links
from publishing.narrow_tables import label_cells
from publishing.settings_reference import render_settings

ROOT = Path(__file__).resolve().parents[1]
MERMAID = ROOT / ".tools/node_modules/mermaid/dist/mermaid.min.js"
GENERATED = {"reference/settings.md": render_settings, "reference/commands.md": render_commands}
# Pages of the repository's root that the site shows too: path in the repository → path in the site.
ROOT_PAGES = {name: f"project/{name}" for name in ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Replace `folder/*.md` in the navigation by the folder's files, in the order of their names."""
    config.nav = _expanded(config.nav or [], Path(config.docs_dir))
    return config


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the generated references, the pages of the repository's root, and Mermaid's script."""
    if not MERMAID.exists():
        raise PluginError(f"{MERMAID.relative_to(ROOT)} is missing: run `make tools`")
    for uri, render in GENERATED.items():
        files.append(File.generated(config, uri, content=render()))
    for name, uri in ROOT_PAGES.items():
        files.append(File.generated(config, uri, content=(ROOT / name).read_text()))
    files.append(File.generated(config, "assets/mermaid.min.js", abs_src_path=str(MERMAID)))
    return files


def on_page_markdown(markdown: str, *, page: Page, files: Files, **_: object) -> str:
    """Let links lead to the site's pages: sources link to one another by their paths in the repository."""
    sources = {uri: name for name, uri in ROOT_PAGES.items()}
    uri = page.file.src_uri
    pages = {f"docs/{file.src_uri}": file.src_uri for file in files} | ROOT_PAGES | {"README.md": "index.md"}
    return rewrite_links(markdown, sources.get(uri, f"docs/{uri}"), uri, pages)


def on_page_content(page_html: str, **_: object) -> str:
    """Name the column of each cell, for `site.css`."""
    return label_cells(page_html)


def _expanded(navigation: list[Any], docs: Path) -> list[Any]:
    entries: list[Any] = []
    for entry in navigation:
        match entry:
            case str() if "*" in entry:
                entries.extend(path.relative_to(docs).as_posix() for path in sorted(docs.glob(entry)))
            case dict():
                entries.append(
                    {
                        title: _expanded(value, docs) if isinstance(value, list) else value
                        for title, value in entry.items()
                    }
                )
            case _:
                entries.append(entry)
    return entries
