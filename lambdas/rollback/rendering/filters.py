"""Filters and texts that both renderers share."""

import shlex
from datetime import timedelta

from rollback.reports.document.durations import in_words, moment, percent
from rollback.reports.document.model import ReportDocument


def duration(seconds: float) -> str:
    """Write seconds as a duration in words."""
    return in_words(timedelta(seconds=seconds))


def share(value: float | None) -> str:
    """Write a share as a percentage; None has no value to show."""
    return percent(value) if value is not None else "no requests"


def seconds(value: float | None) -> str:
    """Write an answer time in seconds."""
    return f"{value:.2f} s" if value is not None else "not measured"


FILTERS = {"duration": duration, "moment": moment, "share": share, "seconds": seconds}


def render_command(document: ReportDocument) -> str:
    """Return the command that renders the account again."""
    return shlex.join(("rollback", "report", document.environment, document.rollback_id))


def image_names(document: ReportDocument) -> tuple[str, ...]:
    """List the containers of both releases."""
    releases = (document.previous, document.target)
    return tuple(dict.fromkeys(name for release in releases if release is not None for name in release.images))
