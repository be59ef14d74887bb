"""What stands of a service, in a few lines that can be read at 03:00. What can't be asked costs its own line only."""

from collections.abc import Callable, Iterator
from itertools import islice

from rollback.check import Verdict
from rollback.database.observation.readiness import writes_to_standing_branch
from rollback.domain.database.schema_finding import Compatibility
from rollback.domain.releases.release import ReleaseState, last_known_good
from rollback.domain.releases.release_names import name_of
from rollback.domain.settings.environment import ServiceSettings
from rollback.domain.standing_plan import StandingPlan
from rollback.errors import RollbackError
from rollback.identity.candidates import in_ledger
from rollback.identity.identify import running_fingerprint
from rollback.leases.holder import living_lease
from rollback.names import degraded_alarm, outage_alarm
from rollback.operations.unfence import owed_by_operator
from rollback.ports.world import World
from rollback.service.stack import drift_of
from rollback_cli.plain import safe

_ACTIONS = 3
_FITS = {Compatibility.COMPATIBLE: "green", Compatibility.UNKNOWN: "yellow"}
_SPEAKS = {Verdict.FAIL: "red", Verdict.WARN: "yellow"}


def lines(service: ServiceSettings, world: World) -> Iterator[str]:
    """`label  what`, in rich's markup."""
    parts: tuple[tuple[str, Callable[[ServiceSettings, World], Iterator[str]]], ...] = (
        ("runs", _runs),
        ("ready", _readiness),
        ("database", _database),
        ("alarms", _alarms),
        ("rollback", _rollback),
        ("paused", _paused),
        ("owed", _owed),
        ("unreadable", _unreadable),
        ("actions", _actions),
    )
    for label, told in parts:
        try:
            yield from told(service, world)
        except RollbackError as failure:
            yield _line(label, f"[yellow]{safe(str(failure))}[/]")


def _line(label: str, text: str) -> str:
    return f"  {label:10} {text}"


def _runs(service: ServiceSettings, world: World) -> Iterator[str]:
    view = world.services.look(service)
    running = running_fingerprint(view, service, world)
    now = world.ledger.release(service.name, running)
    target = last_known_good(world.ledger.promoted(service.name), running)
    yield _line("runs", f"{safe(now.version)} ({now.state})" if now else "unknown to the ledger (—)")
    yield _line("tasks", f"{view.running_count} of {view.desired_count}, rollout {safe(view.primary.rollout_state)}")
    nothing = "[red]nothing: there is no way back[/]"
    if now is not None and now.state is ReleaseState.PROMOTED:
        nothing = "[yellow]nothing: what runs is the only good release, there is a way back from the next one[/]"
    yield _line("back to", safe(name_of(target, in_ledger(service.name, target.version, world))) if target else nothing)
    drift = drift_of(service, view.primary.definition_arn, world)
    if drift:
        yield _line("drift", f"[yellow]{safe(drift)}[/]")


def _readiness(service: ServiceSettings, world: World) -> Iterator[str]:
    """The standing plan's checks that say something against it."""
    standing = world.ledger.standing_plan(service.name)
    if standing is None:
        yield _line("ready", "[red]no way back: the standing plan was never computed[/]")
        return
    minutes = (world.clock.now() - standing.computed_at).total_seconds() / 60
    when = f"looked at {standing.computed_at:%Y-%m-%d %H:%M} UTC, {max(0.0, minutes):.0f} minutes ago"
    yield _line("ready", f"{_ready(standing)}, {when}")
    for check in standing.readiness:
        if check.verdict in _SPEAKS:
            yield _line("", f"[{_SPEAKS[check.verdict]}]{check.verdict}[/] {check.name}: {safe(check.reason)}")


def _ready(standing: StandingPlan) -> str:
    """Whether the last known good could be gone back to; if not, whether another target could."""
    if standing.is_ready:
        return "yes"
    instead = any(check.name == "way-back" and check.verdict is Verdict.WARN for check in standing.readiness)
    return "[yellow]not the last known good, but the next target[/]" if instead else "[red]no way back[/]"


def _database(service: ServiceSettings, world: World) -> Iterator[str]:
    """What is known of it ahead of need; nothing is said where there is none."""
    settings = world.settings.database
    if settings is None or not writes_to_standing_branch(service.name, world.settings):
        return
    branch, nothing = settings.lease_of(None), "[yellow]never[/]"
    seen = world.ledger.observation(branch)
    yield _line("database", f"looked at {seen.observed_at:%Y-%m-%d %H:%M} UTC" if seen else f"looked at {nothing}")
    point = next((one for one in world.ledger.restore_points(branch) if one.service == service.name), None)
    said = f"before {point.version}, by {point.by}: {point.lsn}, {point.at:%Y-%m-%d %H:%M:%S} UTC" if point else nothing
    yield _line("point", safe(said) if point else said)
    standing = world.ledger.standing_plan(service.name)
    running = running_fingerprint(world.services.look(service), service, world)
    target = standing.target_for(running) if standing is not None else None
    if target is not None and target.schema_verdict is not None:
        verdict = target.schema_verdict
        colour = _FITS.get(verdict.compatibility, "red")
        how = f"[{colour}]{verdict.compatibility}[/] with {safe(target.release.version)}: {safe(verdict.reason)}"
        yield _line("schema", how)


def _alarms(service: ServiceSettings, world: World) -> Iterator[str]:
    prefix = world.settings.prefix
    states = world.alarms.states((degraded_alarm(prefix, service.name), outage_alarm(prefix, service.name)))
    yield _line("alarms", ", ".join(safe(f"{name} {state}") for name, state in sorted(states.items())) or "none")


def _rollback(service: ServiceSettings, world: World) -> Iterator[str]:
    lease = living_lease(service.name, world)
    yield _line("rollback", f"[yellow]{safe(lease.holder)}[/]" if lease else "none going on")


def _paused(service: ServiceSettings, world: World) -> Iterator[str]:
    stands = world.ledger.pause(service.name)
    if stands is not None:
        why = f"since {stands.since:%Y-%m-%d %H:%M} UTC by {stands.by}: {stands.reason}"
        yield _line("paused", f"[yellow]no automatic rollbacks[/] {safe(why)}")


def _owed(service: ServiceSettings, world: World) -> Iterator[str]:
    debts = owed_by_operator(service.name, world)
    for debt in debts:
        yield _line("left to you", f"[red]{safe(str(debt))}[/]")
    for owed in world.ledger.owed(service.name).items:
        if owed.is_open and owed.rollback_service != service.name:
            kinds = ", ".join(one.kind for one in owed.obligations if one.handed_to is None)
            yield _line("owed", f"[yellow]{safe(owed.rollback_id)} changed it and puts it back: {safe(kinds)}[/]")
    if debts:
        unfence = f"rollback unfence {world.settings.environment} --service {service.name} --reason '…'"
        yield _line("", f"put it back: {unfence}")


def _unreadable(service: ServiceSettings, world: World) -> Iterator[str]:
    """Items of the ledger that could not be read: of this service, or of all."""
    for item in world.ledger.unreadable():
        if service.name in item.key or "SERVICE#" not in item.key:
            yield _line("unreadable", f"[yellow]{safe(item.key)}: {safe(item.why)}[/]")


def _actions(service: ServiceSettings, world: World) -> Iterator[str]:
    for action in islice(world.ledger.actions(service.name), _ACTIONS):
        what = f"{action.verb} {action.subject}".strip()
        yield _line("by hand", safe(f"{action.at:%Y-%m-%d %H:%M} {what}, {action.by}: {action.reason}"))
