"""`rollback local traffic`: requests to the application in the local cloud, with a live line of its answers."""

import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rollback_cli.local_environment.traffic import Answers

_CLEAR_LINE = "\r\x1b[K"


def traffic(
    rps: Annotated[float, typer.Option("--rps", min=0.1, max=200, help="requests per second")] = 10,
    seconds: Annotated[float | None, typer.Option(min=1, help="end after this time; left out: until Ctrl-C")] = None,
) -> None:
    """Send requests through the load balancer, and print each second's answers by status, latency and version.

    Alarms and promotion judge a release by its requests. `rollback local up` sends some too, unless --no-traffic.
    """
    from rollback_cli.local_environment import cloud_record  # noqa: PLC0415 - see `demo`
    from rollback_cli.local_environment.traffic import send  # noqa: PLC0415 - see `demo`

    url = cloud_record.read().application_url
    typer.echo(f"{rps:g} requests per second to {url}; Ctrl-C ends them")
    totals = send(url, rps, seconds, _Printer(is_live=sys.stdout.isatty()).print)
    counts = ", ".join(f"{status}: {count}" for status, count in sorted(totals.items()))
    typer.echo(f"In all: {counts or 'no answer'}")


class _Printer:
    """Prints a line for each second. A terminal keeps the lines at which statuses or versions changed."""

    def __init__(self, *, is_live: bool) -> None:
        self._is_live = is_live
        self._previous: tuple[frozenset[str], frozenset[str]] | None = None

    def print(self, answers: "Answers") -> None:
        """Print the answers of a second."""
        line = f"{time.strftime('%H:%M:%S')}  {answers.describe()}"
        if not self._is_live:
            typer.echo(line)
            return
        kinds = (frozenset(answers.statuses), frozenset(answers.versions))
        is_change = kinds != self._previous
        self._previous = kinds
        typer.echo(f"{_CLEAR_LINE}{line}{chr(10) * is_change}", nl=False)
