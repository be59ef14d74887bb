"""Exit codes of the command: one table for every verb. `verify` documents its own codes 3 and 4."""

from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rollback.domain.rollback import Rollback


class ExitCode(IntEnum):
    """Exit codes."""

    SUCCEEDED = 0  # done; a dry run that made a plan
    FAILED = 1  # the rollback failed, or the command could not do its work
    USAGE = 2  # the request is not valid; nothing was changed
    REFUSED = 3  # refused, suppressed, or only planned because the environment observes
    REJECTED = 4  # an approver rejected the rollback, or none approved it in time
    ABORTED = 5  # an operator ended the rollback
    INTERRUPTED = 130  # Ctrl-C ended the command: 128 + SIGINT, as a shell reports it; the rollback goes on


_CODES = {
    "succeeded": ExitCode.SUCCEEDED,
    "failed": ExitCode.FAILED,
    "superseded": ExitCode.FAILED,  # the team's newer release runs, and not the target
    "refused": ExitCode.REFUSED,
    "suppressed": ExitCode.REFUSED,
    "rejected": ExitCode.REJECTED,
    "aborted": ExitCode.ABORTED,
}


def exit_code_of(rollback: "Rollback") -> ExitCode:
    """Return the exit code for the outcome of a rollback; an open rollback has not succeeded."""
    if rollback.outcome is None:
        return ExitCode.FAILED
    if rollback.outcome.value == "planned":  # not by a person's wish for a plan: the environment only observes
        return ExitCode.SUCCEEDED if rollback.request.dry_run else ExitCode.REFUSED
    return _CODES[rollback.outcome.value]
