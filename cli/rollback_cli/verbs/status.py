"""`rollback status ENV`: what runs, what one could go back to, and what stands in the way."""

from rich.console import Console

from rollback_cli import deployed, state


def status(environment: str) -> None:
    """Show each service of an environment in a few lines."""
    console = Console()
    here = deployed.find(environment)
    world = here.world()
    for service in here.settings.services:
        console.print(f"[bold]{service.name}[/] in {here.settings.environment} ({here.settings.policy.mode})")
        for line in state.lines(service, world):
            console.print(line, highlight=False, soft_wrap=True)
