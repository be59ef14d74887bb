"""What stands of a service, in a few lines that can be read at 03:00. What can't be asked costs its own line only."""

from collections.abc import Callable, Iterator
from itertools import islice

from rollback.check import Verdict
from rollback.database.observation.readiness import writes_to_standing_branch
from rollback.domain.database.schema_finding import Compatibility
from rollback.domain.releases.release import ReleaseState, last_known_good
from rollback.domain.releases.release_names import release_label
from rollback.domain.settings.environment import ServiceSettings
from rollback.domain.standing_plan import StandingPlan
from rollback.errors import RollbackError
from rollback.identity.candidates import find_releases_by_name
from rollback.identity.identify import running_fingerprint
from rollback.leases.holder import find_live_lease
from rollback.names import degraded_alarm, outage_alarm
from rollback.operations.unfence import list_obligations_of_operator
from rollback.ports.world import World
from rollback.service.stack import describe_drift
from rollback_cli.plain import safe

_MAX_ACTIONS = 3
_COMPATIBILITY_COLOURS = {Compatibility.COMPATIBLE: "green", Compatibility.UNKNOWN: "yellow"}
_VERDICT_COLOURS = {Verdict.FAIL: "red", Verdict.WARN: "yellow"}


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
    for label, section in parts:
        try:
            yield from section(service, world)
        except RollbackError as failure:
            yield _line(label, f"[yellow]{safe(str(failure))}[/]")


def _line(label: str, text: str) -> str:
    return f"  {label:10} {text}"


def _runs(service: ServiceSettings, world: World) -> Iterator[str]:
    view = world.services.describe(service)
    running = running_fingerprint(view, service, world)
    now = world.ledger.release(service.name, running)
    target = last_known_good(world.ledger.promoted(service.name), running)
    yield _line("runs", f"{safe(now.version)} ({now.state})" if now else "unknown to the ledger (—)")
    yield _line("tasks", f"{view.running_count} of {view.desired_count}, rollout {safe(view.primary.rollout_state)}")
    nothing = "[red]nothing: there is no way back[/]"
    if now is not None and now.state is ReleaseState.PROMOTED:
        nothing = "[yellow]nothing: what runs is the only good release, there is a way back from the next one[/]"
    yield _line(
        "back to",
        safe(release_label(target, find_releases_by_name(service.name, target.version, world))) if target else nothing,
    )
    drift = describe_drift(service, view.primary.definition_arn, world)
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
    yield _line("ready", f"{_describe_readiness(standing)}, {when}")
    for check in standing.readiness:
        if check.verdict in _VERDICT_COLOURS:
            yield _line("", f"[{_VERDICT_COLOURS[check.verdict]}]{check.verdict}[/] {check.name}: {safe(check.reason)}")


def _describe_readiness(standing: StandingPlan) -> str:
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
    running = running_fingerprint(world.services.describe(service), service, world)
    target = standing.target_for(running) if standing is not None else None
    if target is not None and target.schema_verdict is not None:
        verdict = target.schema_verdict
        colour = _COMPATIBILITY_COLOURS.get(verdict.compatibility, "red")
        how = f"[{colour}]{verdict.compatibility}[/] with {safe(target.release.version)}: {safe(verdict.reason)}"
        yield _line("schema", how)


def _alarms(service: ServiceSettings, world: World) -> Iterator[str]:
    prefix = world.settings.prefix
    states = world.alarms.states((degraded_alarm(prefix, service.name), outage_alarm(prefix, service.name)))
    yield _line("alarms", ", ".join(safe(f"{name} {state}") for name, state in sorted(states.items())) or "none")


def _rollback(service: ServiceSettings, world: World) -> Iterator[str]:
    lease = find_live_lease(service.name, world)
    yield _line("rollback", f"[yellow]{safe(lease.holder)}[/]" if lease else "none going on")


def _paused(service: ServiceSettings, world: World) -> Iterator[str]:
    current_pause = world.ledger.pause(service.name)
    if current_pause is not None:
        why = f"since {current_pause.since:%Y-%m-%d %H:%M} UTC by {current_pause.by}: {current_pause.reason}"
        yield _line("paused", f"[yellow]no automatic rollbacks[/] {safe(why)}")


def _owed(service: ServiceSettings, world: World) -> Iterator[str]:
    debts = list_obligations_of_operator(service.name, world)
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
    for action in islice(world.ledger.actions(service.name), _MAX_ACTIONS):
        what = f"{action.verb} {action.subject}".strip()
        yield _line("by hand", safe(f"{action.at:%Y-%m-%d %H:%M} {what}, {action.by}: {action.reason}"))
