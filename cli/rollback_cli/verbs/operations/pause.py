"""`rollback pause ENV`: no automatic rollback of a service until an operator resumes it."""

from rollback.operations import pause_abort_unlock
from rollback_cli import deployed_stack
from rollback_cli.operator_options import Environment, Reason, Service, make_operator
from rollback_cli.terminal_text import print_paragraph


def pause(environment: Environment, reason: Reason, service: Service = None) -> None:
    """Switch automatic rollbacks of a service off; `rollback start` still works, an open rollback goes on."""
    deployment, operator = deployed_stack.find_deployment(environment), make_operator(reason)
    name = deployment.settings.service_or_only(service).name
    print_paragraph(pause_abort_unlock.pause(name, operator, deployment.ports()))
