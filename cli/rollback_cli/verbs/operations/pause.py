"""`rollback pause ENV`: no automatic rollback until a person resumes it."""

from rollback.operations import pause_abort_unlock as levers
from rollback_cli import deployed, lever


def pause(environment: str, reason: lever.Reason, service: lever.Service = None) -> None:
    """Switch automatic rollbacks of a service off; people can still start them."""
    here, operator = deployed.find(environment), lever.operator(reason)
    lever.print_paragraph(levers.pause(here.settings.service_or_only(service).name, operator, here.world()))
