"""Outputs of a step of GitHub Actions, so that later steps know the rollback without reading the log.

Source: GitHub Docs, "Workflow commands for GitHub Actions", setting an output parameter by the file GITHUB_OUTPUT.
"""

import os
from pathlib import Path

from rollback.domain.rollback import Rollback

FILE_VARIABLE = "GITHUB_OUTPUT"


def write_rollback(rollback: Rollback) -> None:
    """Write `rollback-id` and `outcome` of a rollback; outside of GitHub Actions, nothing.

    The file is appended to, and the last value of a name counts. The outcome of an open rollback is empty.
    """
    file = os.environ.get(FILE_VARIABLE)
    if not file:
        return
    with Path(file).open("a", encoding="utf-8") as outputs:
        outputs.write(f"rollback-id={rollback.id}\noutcome={rollback.outcome or ''}\n")
