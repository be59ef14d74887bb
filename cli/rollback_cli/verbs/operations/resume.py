"""`rollback resume ENV`: automatic rollbacks are on again."""

from rollback.operations import pause_abort_unlock as levers
from rollback_cli import deployed, lever


def resume(environment: str, reason: lever.Reason, service: lever.Service = None) -> None:
    """Switch automatic rollbacks of a service on again."""
    here, operator = deployed.find(environment), lever.operator(reason)
    lever.print_paragraph(levers.resume(here.settings.service_or_only(service).name, operator, here.world()))
