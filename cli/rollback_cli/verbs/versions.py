"""`rollback versions ENV`: the releases that the ledger knows, and what the evidence says of them."""

from rollback.steps.running import fingerprint_of
from rollback_cli import deployed, plain
from rollback_cli import show as look


def versions(environment: str) -> None:
    """List the releases one can go back to."""
    console = plain.console()
    here = deployed.find(environment)
    world = here.world()
    for service in here.settings.services:
        view = world.services.look(service)
        running = fingerprint_of(view.primary.definition_arn, view, world)
        look.releases(console, world.ledger.releases(service.name), running)
