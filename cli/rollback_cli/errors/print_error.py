"""Print an error that ended the command, and return the exit code."""

import errno
import os
import sys
import traceback

from rollback.text import one_line
from rollback_cli.errors.explanation import Explanation
from rollback_cli.shell.common_options import common_options
from rollback_cli.shell.exit_codes import ExitCode


def print_error(error: BaseException, words: list[str]) -> int:
    """Print what failed and what to do next to standard error; with --debug the traceback before.

    Args:
        error: the error.
        words: words after the command's name.
    """
    if isinstance(error, OSError) and error.errno == errno.EPIPE:
        # The reader, such as `head`, has ended: Python would fail again when it flushes standard output at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.FAILED
    if common_options.is_debug:
        traceback.print_exception(error)
    if type(error).__name__ == "NoArgsIsHelpError":  # a group such as `local`; typer exports no name for it
        print(error, file=sys.stderr)
        return ExitCode.USAGE
    explanation = _explain(error, words)
    label = "\033[31merror:\033[0m" if _has_colour() else "error:"
    print(f"{label} {one_line(explanation.what)}", file=sys.stderr)
    print(f"next: {one_line(explanation.next)}", file=sys.stderr)
    return explanation.code


def _explain(error: BaseException, words: list[str]) -> Explanation:
    from rollback_cli.errors.usage import PARSER_ERROR, explain_usage  # noqa: PLC0415

    if isinstance(error, PARSER_ERROR):
        return explain_usage(error)
    from rollback_cli.errors.explain import explain  # noqa: PLC0415 - an error of the parser needs no SDK

    return explain(error, words)


def _has_colour() -> bool:
    return sys.stderr.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
