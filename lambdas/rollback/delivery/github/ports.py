"""Ports that the channels to GitHub need."""

from typing import Protocol

from rollback.ports.holders import HasAccountAndRegion, HasClock, HasGitHub, HasSettings


class GitHubPorts(HasClock, HasGitHub, HasSettings, HasAccountAndRegion, Protocol):
    """Ports of a channel to GitHub."""
