"""`rollback status ENV`: what runs, what one could go back to, and what stands in the way."""

from rollback_cli import deployed, plain, state


def status(environment: str) -> None:
    """Show each service of an environment in a few lines."""
    console = plain.console()
    here = deployed.find(environment)
    world = here.world()
    for service in here.settings.services:
        console.print(f"[bold]{service.name}[/] in {here.settings.environment} ({here.settings.policy.mode})")
        for line in state.lines(service, world):
            console.print(line, soft_wrap=True)
