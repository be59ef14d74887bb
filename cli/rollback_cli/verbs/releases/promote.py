"""`rollback promote ENV`: call a release good by hand, so that the first incident has a way back."""

from typing import Annotated

import typer

from rollback.promotion.promote import promote_by_hand
from rollback_cli import deployed, direct, lever


def promote(
    environment: str,
    version: Annotated[str | None, typer.Option(help="default: what runs now")] = None,
    service: lever.Service = None,
) -> None:
    """Make a release the last known good on your word."""
    here = deployed.find(environment)
    name = here.settings.service_or_only(service).name
    release = promote_by_hand(name, version, direct.whoami(), here.world())
    lever.print_paragraph(f"{release.version} is {release.state} ({release.state_reason})")
