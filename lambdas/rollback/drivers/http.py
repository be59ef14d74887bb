"""Driver of the probes: httpx."""

from rollback.ports.http import Http


def make_http() -> Http:
    """Make the port of the probes."""
    from rollback.adapters.http import HttpxHttp  # noqa: PLC0415 - httpx takes a while to import, and few steps probe

    return HttpxHttp()
