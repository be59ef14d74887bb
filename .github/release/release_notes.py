"""Print the notes of a version from CHANGELOG.md; fail if tag, pyproject.toml and changelog don't name one version.

Run `python release_notes.py v1.2.3` in the repository's folder. It needs no packages.
"""

import re
import sys
import tomllib
from pathlib import Path


class NotReleasable(Exception):
    """The tag may not be released as it is."""


def release_notes(tag: str, folder: Path) -> str:
    """Return the text of the version's section in the changelog.

    Raises:
        NotReleasable: the tag is no version, or the files name another one, or the section is missing or empty.
    """
    if re.fullmatch(r"v\d+\.\d+\.\d+", tag) is None:
        raise NotReleasable(f"the tag is {tag!r}; allowed is v1.2.3: delete it and tag the commit again")
    version = tag.removeprefix("v")
    declared = tomllib.loads((folder / "pyproject.toml").read_text())["project"]["version"]
    if declared != version:
        raise NotReleasable(f"pyproject.toml has version {declared}, the tag {version}: correct one of them")
    # The section ends at the next heading of its level.
    heading = rf"^## \[?{re.escape(version)}\]?(?: [^\n]*)?\n(.*?)(?=^## |\Z)"
    section = re.search(heading, (folder / "CHANGELOG.md").read_text(), re.MULTILINE | re.DOTALL)
    if section is None or not section[1].strip():
        raise NotReleasable(f"CHANGELOG.md has no section {version}: rename `Unreleased`, and tag that commit")
    return section[1].strip() + "\n"


def main() -> int:
    """Print the notes; a tag that may not be released is one line on standard error."""
    try:
        sys.stdout.write(release_notes(sys.argv[1], Path.cwd()))
    except NotReleasable as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
