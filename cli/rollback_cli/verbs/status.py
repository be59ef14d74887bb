"""`rollback status ENV`: what runs, what one could go back to, and whether a rollback is going on."""

from rich.console import Console

from rollback.model.names import degraded_alarm, outage_alarm
from rollback.model.release import last_known_good
from rollback.steps.running import fingerprint_of
from rollback_cli import deployed


def status(environment: str) -> None:
    """Show each service of an environment in a few lines."""
    console = Console()
    here = deployed.find(environment)
    world = here.world()
    for service in here.settings.services:
        view = world.services.look(service)
        running = fingerprint_of(view.primary.definition_arn, view, world)
        known = world.ledger.releases(service.name)
        now = next((r for r in known if r.fingerprint == running), None)
        target = last_known_good(known, running)
        lease = world.ledger.lease(service.name)
        alarms = (degraded_alarm(here.settings.prefix, service.name), outage_alarm(here.settings.prefix, service.name))
        states = world.alarms.states(alarms)
        console.print(f"[bold]{service.name}[/] in {here.settings.environment} ({here.settings.policy.mode})")
        console.print(f"  runs       {now.version if now else 'unknown to the ledger'} ({now.state if now else '—'})")
        console.print(
            f"  tasks      {view.running_count} of {view.desired_count}, rollout {view.primary.rollout_state}"
        )
        goes = f"{target.version}" if target else "[red]nothing: there is no way back[/]"
        console.print(f"  back to    {goes}")
        console.print(
            f"  alarms     {', '.join(f'{name} {state}' for name, state in sorted(states.items())) or 'none'}"
        )
        held = lease is not None and lease.expires_at > world.clock.now()
        console.print(f"  rollback   {lease.holder if lease and held else 'none going on'}")
