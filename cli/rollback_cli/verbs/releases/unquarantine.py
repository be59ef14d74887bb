"""`rollback unquarantine ENV VERSION`: a quarantined or suspect release is a candidate again."""

from rollback.operations import quarantine as word
from rollback_cli import deployed, lever


def unquarantine(environment: str, version: str, reason: lever.Reason, service: lever.Service = None) -> None:
    """Clear a release of what a rollback or a person said of it; it has no evidence then, neither way."""
    here, operator = deployed.find(environment), lever.operator(reason)
    lever.print_paragraph(
        word.unquarantine(here.settings.service_or_only(service).name, version, operator, here.world())
    )
