"""`rollback quarantine ENV VERSION`: a release is never gone back to again, unless by force."""

from rollback.operations import quarantine as word
from rollback_cli import deployed, lever


def quarantine(environment: str, version: str, reason: lever.Reason, service: lever.Service = None) -> None:
    """Call a release bad (a version, or the beginning of a fingerprint); the standing plan loses it at once."""
    here, operator = deployed.find(environment), lever.operator(reason)
    lever.print_paragraph(word.quarantine(here.settings.service_or_only(service).name, version, operator, here.world()))
