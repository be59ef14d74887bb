"""The process that stands in for a container with an overridden command: a one-off task, such as a migration.

It starts as ``python -S -E command.py --commands JSON -- WORD…``. The image lists its commands: ``{"pnpm
db:migrate:down 0002_x": {"says": "…", "shows": ["VARIABLE"], "seconds": 0, "sql": "…", "exit": 0}}``. The SQL runs in
one transaction on ``DATABASE_URL``. An SQL error is a line of the log, and exit code 1. A command that the image lacks
exits with 127, as in a shell.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
import time
from typing import Any

_NOT_FOUND = 127


def _print_line(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def command_line(words: list[str]) -> str:
    """Return the words as one command line. The argument of `sh -c` is one already."""
    if len(words) == 3 and words[0].rpartition("/")[2] in {"sh", "bash"} and words[1] == "-c":
        return words[2]
    return " ".join(words)


def run(command: dict[str, Any]) -> int:
    """Run a command as the image describes it; return its exit code."""
    if says := command.get("says"):
        _print_line(str(says))
    for name in command.get("shows", []):
        if name in os.environ:
            _print_line(f"{name}={os.environ[name]}")
    time.sleep(float(command.get("seconds", 0)))
    if (statements := command.get("sql")) and (problem := _run_sql(str(statements))):
        _print_line(f"ERROR {problem}")
        return 1
    return int(command.get("exit", 0))


def _run_sql(statements: str) -> str:
    """Run SQL in one transaction; return the error on one line, or an empty text."""
    uri = os.environ.get("DATABASE_URL")
    if not uri:
        return "DATABASE_URL is not set"
    import psycopg  # noqa: PLC0415 - only an image with SQL gets the driver

    try:
        with psycopg.connect(uri, connect_timeout=30) as session:
            session.execute(statements.encode())
    except psycopg.Error as error:
        return f"{type(error).__name__}: {' '.join(str(error).split())}"
    _print_line("committed")
    return ""


def _exit_when_input_closes() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


def main() -> None:
    """Run a command, and exit with its code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--commands", default="{}", help="JSON: the image's commands")
    parser.add_argument("--packages", help="folder of the database driver")
    parser.add_argument("words", nargs="*")
    arguments = parser.parse_args()
    if arguments.packages:
        sys.path.append(arguments.packages)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_exit_when_input_closes, daemon=True).start()
    line = command_line(arguments.words)
    commands = json.loads(arguments.commands)
    _print_line(f"$ {line}")
    if line not in commands:
        _print_line(f"sh: {line.split(' ', 1)[0]}: not found")
        os._exit(_NOT_FOUND)
    os._exit(run(commands[line]))  # at once: the thread that reads the input would delay an orderly exit


if __name__ == "__main__":
    main()
