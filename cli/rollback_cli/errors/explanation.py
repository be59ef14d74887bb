"""Explanation of an error in two lines."""

from dataclasses import dataclass

from rollback_cli.shell.exit_codes import ExitCode


@dataclass(frozen=True)
class Explanation:
    """Explanation of an error.

    Attributes:
        what: what failed, on what, and why, in one line.
        next: what to do next, in one line.
        code: exit code of the command.
    """

    what: str
    next: str
    code: ExitCode = ExitCode.FAILED
