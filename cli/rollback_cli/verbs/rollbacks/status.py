"""`rollback status ENV`: the running release, the rollback target, and the checks against a rollback."""

from rollback_cli import deployed_stack
from rollback_cli.operator_options import Environment
from rollback_cli.terminal_text import make_console


def status(environment: Environment) -> None:
    """Show, for each service, what runs, whether a rollback could start now, and what an operator has to do."""
    deployment = deployed_stack.find_deployment(environment)
    # After the first request: the import takes a second.
    from rollback_cli.status_lines import status_lines  # noqa: PLC0415

    console, ports = make_console(), deployment.ports()
    for service in deployment.settings.services:
        settings = deployment.settings
        console.print(f"[bold]{service.name}[/] in {settings.environment} ({settings.policy.mode})")
        for line in status_lines(service, ports):
            console.print(line, soft_wrap=True)
