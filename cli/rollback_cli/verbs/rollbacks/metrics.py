"""`rollback metrics ENV`: delivery performance from the ledger."""

import re
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from rollback.domain.performance.delivery_performance import delivery_performance
from rollback.domain.releases.release import Release
from rollback.domain.rollback import Rollback
from rollback.errors import InvalidRequest, UnreadableItem
from rollback.ports.ledger import Ledger
from rollback_cli import deployed_stack
from rollback_cli.operator_options import Environment
from rollback_cli.output.formats import Output, OutputFormat, print_document
from rollback_cli.output.rollbacks.measured import Metrics, describe_performance, metrics_lines, metrics_records

if TYPE_CHECKING:
    from rich.console import Console

_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_MAX_DAYS = 3650
_MAX_RECORDS = 2_000  # rollbacks, and releases, of a service


def metrics(
    environment: Environment,
    since: Annotated[str, typer.Option(help="length of the window, such as 12h, 90d or 8w")] = "90d",
    service: Annotated[str | None, typer.Option("--service", help="only this service; default: all")] = None,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Print deployment frequency, change failure rate and recovery times, as the ledger knows them."""
    window = parse_window(since)
    deployment = deployed_stack.find_deployment(environment)
    settings = deployment.settings
    services = (settings.service(service).name,) if service is not None else settings.service_names
    ledger = deployment.ports().ledger
    until = datetime.now(UTC)
    document = measure(services, ledger, until - window, until)
    print_document(
        document, output, in_terminal=partial(_print_lines, document), records=partial(metrics_records, document)
    )


def _print_lines(document: Metrics, console: "Console") -> None:
    for line in metrics_lines(document):
        console.print(line, markup=False, soft_wrap=True)


def measure(services: tuple[str, ...], ledger: Ledger, since: datetime, until: datetime) -> Metrics:
    """Read the window page by page, newest first, and compute its measures."""
    rollbacks: list[Rollback] = []
    releases: list[Release] = []
    unreadable, starts = 0, []
    for name in services:
        read = _Reading(name, ledger, since)
        rollbacks, releases, unreadable = (
            rollbacks + read.rollbacks,
            releases + read.releases,
            unreadable + read.skipped,
        )
        starts.append(read.covered_since)
    # A service that is younger than the window shortens nothing; a reading that was cut off does.
    covered_since = min((start for start in starts if start is not None), default=None)
    is_cut_off = any(count >= _MAX_RECORDS for count in (len(rollbacks), len(releases)))
    return Metrics(
        services=services,
        since=since,
        until=until,
        covered_since=covered_since,
        performance=describe_performance(delivery_performance(releases, rollbacks, covered_since, until))
        if covered_since is not None
        else None,
        unreadable_records=unreadable,
        record_limit=_MAX_RECORDS if is_cut_off else None,
    )


class _Reading:
    """Records of one service in the window: at most `_MAX_RECORDS` of each kind."""

    def __init__(self, service: str, ledger: Ledger, since: datetime) -> None:
        self.rollbacks: list[Rollback] = []
        self.releases: list[Release] = []
        self.skipped = 0
        has_older_record = self._read_rollbacks(service, ledger, since)
        for release in ledger.releases(service, since=since):
            self.releases.append(release)
            if len(self.releases) == _MAX_RECORDS:
                break
        times = [rollback.created_at for rollback in self.rollbacks]
        times += [release.first_deployed_at for release in self.releases]
        self.covered_since = since if has_older_record else min(times, default=None)

    def _read_rollbacks(self, service: str, ledger: Ledger, since: datetime) -> bool:
        """Collect the rollbacks; return whether the ledger has an older one, so that it covers the window."""
        for record in ledger.records(service):
            if isinstance(record, UnreadableItem):
                self.skipped += 1
            elif record.created_at < since:
                return True
            else:
                self.rollbacks.append(record)
            if len(self.rollbacks) + self.skipped >= _MAX_RECORDS:
                return False
        return False


def parse_window(text: str) -> timedelta:
    """Parse `12h`, `90d` or `8w`.

    Raises:
        InvalidRequest: the text is no such window, or is longer than ten years.
    """
    match = re.fullmatch(r"([1-9]\d{0,5})([hdw])", text, re.ASCII)
    window = int(match[1]) * _UNITS[match[2]] if match is not None else timedelta.max
    if window > timedelta(days=_MAX_DAYS):
        raise InvalidRequest(f"--since is {text!r}; allowed are hours, days and weeks up to ten years: 12h, 90d, 8w")
    return window
