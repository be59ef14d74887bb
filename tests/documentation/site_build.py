"""Builds the documentation site for tests."""

import os
import subprocess
import sys
from pathlib import Path

from documentation.pages import ROOT

from publishing.site import MERMAID

WHY_NOT = None if MERMAID.exists() else "Mermaid is not installed; `make tools` does"


def build_site(folder: Path) -> subprocess.CompletedProcess[str]:
    """Build the site strictly into a folder, as `make docs` does; warnings are failures."""
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
