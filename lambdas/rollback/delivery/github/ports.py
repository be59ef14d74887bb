"""Ports that the channels to GitHub need."""

from typing import Protocol

from rollback.ports.holders import HasAccountAndRegion, HasClock, HasGitHub, HasReportStore, HasSettings


class GitHubPorts(HasClock, HasGitHub, HasReportStore, HasSettings, HasAccountAndRegion, Protocol):
    """Ports of a channel to GitHub."""
