"""The state of a service in a few lines. A part that can't be read costs its own line only."""

from collections.abc import Callable, Iterator
from itertools import islice

from rollback.check import Verdict
from rollback.domain.database.schema_verdict import Compatibility
from rollback.domain.releases.release import ReleaseState, last_known_good
from rollback.domain.releases.release_names import release_label
from rollback.domain.rollback import service_of
from rollback.domain.settings.environment import ServiceSettings
from rollback.domain.standing_plan import StandingPlan
from rollback.errors import RollbackError
from rollback.identity.candidates import find_releases_by_name
from rollback.identity.identify import running_fingerprint
from rollback.leases.holder import find_live_lease
from rollback.names import degraded_alarm, outage_alarm
from rollback.operations.unfence import list_obligations_of_operator
from rollback.ports.all_ports import AllPorts
from rollback.service.stack import describe_drift
from rollback_cli.terminal_text import escape_markup

_MAX_ACTIONS = 3
_MAX_COUNTED = 500
_LABEL_WIDTH = len("will be restored")  # the longest label
_COMPATIBILITY_COLOURS = {Compatibility.COMPATIBLE: "green", Compatibility.UNKNOWN: "yellow"}
_VERDICT_COLOURS = {Verdict.FAIL: "red", Verdict.WARN: "yellow"}


def status_lines(service: ServiceSettings, ports: AllPorts) -> Iterator[str]:
    """Describe a service, a line `label  text` each, in rich's markup."""
    sections: tuple[tuple[str, Callable[[ServiceSettings, AllPorts], Iterator[str]]], ...] = (
        ("runs", _running_release),
        ("ready", _readiness),
        ("database", _database),
        ("alarms", _alarms),
        ("rollback", _open_rollback),
        ("paused", _pause),
        ("will be restored", _obligations),
        ("unreadable", _unreadable_items),
        ("not delivered", _late_deliveries),
        ("by operator", _operator_actions),
    )
    for label, section in sections:
        try:
            yield from section(service, ports)
        except RollbackError as failure:
            yield _line(label, f"[yellow]{escape_markup(str(failure))}[/]")


def _line(label: str, text: str) -> str:
    return f"  {label:{_LABEL_WIDTH}} {text}"


def _late_deliveries(service: ServiceSettings, ports: AllPorts) -> Iterator[str]:
    """List messages of the service's rollbacks that are due, with the last error."""
    due = [d for d in islice(ports.ledger.due_deliveries(), _MAX_COUNTED) if service_of(d.rollback_id) == service.name]
    for delivery in due[:_MAX_ACTIONS]:
        error = f": {delivery.last_error}" if delivery.last_error else ""
        since = f"{delivery.due_since:%Y-%m-%d %H:%M} UTC" if delivery.due_since is not None else "an unknown time"
        text = f"{delivery.rollback_id} to {delivery.channel} since {since}, {delivery.attempts} attempts{error}"
        yield _line("not delivered", f"[yellow]{escape_markup(text)}[/]")
    if len(due) > _MAX_ACTIONS:
        yield _line("not delivered", f"[yellow]and {len(due) - _MAX_ACTIONS} more[/]")


def _running_release(service: ServiceSettings, ports: AllPorts) -> Iterator[str]:
    view = ports.services.describe(service)
    fingerprint = running_fingerprint(view, service, ports)
    release = ports.ledger.release(service.name, fingerprint)
    yield _line(
        "runs",
        f"{escape_markup(release.version)} ({release.state})" if release else "a release that the ledger does not have",
    )
    rollout = escape_markup(view.primary.rollout_state)
    yield _line("tasks", f"{view.running_count} of {view.desired_count}, rollout {rollout}")
    target = last_known_good(ports.ledger.promoted(service.name), fingerprint)
    if target is not None:
        label = release_label(target, find_releases_by_name(service.name, target.version, ports))
        yield _line("target", escape_markup(label))
    elif release is not None and release.state is ReleaseState.PROMOTED:
        version = escape_markup(release.version)
        yield _line(
            "target",
            f"[yellow]none yet: {version} is the only promoted release. The next release can be rolled back to it[/]",
        )
    else:
        promote_command = f"rollback promote {ports.settings.environment} --service {service.name}"
        yield _line(
            "target",
            "[red]none: the ledger has no promoted release. To promote the running release, run "
            f"{escape_markup(promote_command)}[/]",
        )
    drift = describe_drift(service, view.primary.definition_arn, ports)
    if drift:
        yield _line("drift", f"[yellow]{escape_markup(drift)}[/]")


def _readiness(service: ServiceSettings, ports: AllPorts) -> Iterator[str]:
    """List the checks of the standing plan that warn or fail."""
    standing_plan = ports.ledger.standing_plan(service.name)
    if standing_plan is None:
        yield _line(
            "ready",
            "[red]no rollback target: the standing plan was never computed. The next sweep of the janitor "
            "computes the plan[/]",
        )
        return
    minutes = (ports.clock.now() - standing_plan.computed_at).total_seconds() / 60
    check_time = f"checked at {standing_plan.computed_at:%Y-%m-%d %H:%M} UTC, {max(0.0, minutes):.0f} minutes ago"
    yield _line("ready", f"{_describe_readiness(standing_plan)}, {check_time}")
    for check in standing_plan.readiness:
        if colour := _VERDICT_COLOURS.get(check.verdict):
            yield _line("", f"[{colour}]{check.verdict}[/] {check.name}: {escape_markup(check.reason)}")


def _describe_readiness(standing_plan: StandingPlan) -> str:
    """Say whether the last known good, or another target, is ready for a rollback."""
    if standing_plan.is_ready:
        return "yes"
    has_other_target = any(
        check.name == "usable-target-exists" and check.verdict is Verdict.WARN for check in standing_plan.readiness
    )
    if has_other_target:
        return "[yellow]the next target is ready, the last known good is not[/]"
    return "[red]no rollback target is ready[/]"


def _database(service: ServiceSettings, ports: AllPorts) -> Iterator[str]:
    """Describe what the janitor recorded of the branch; no line for a service without a database."""
    settings = ports.settings.database
    if settings is None or not ports.settings.writes_to_observed_branch(service.name):
        return
    branch, never = settings.branch_key(None), "[yellow]never[/]"
    observation = ports.ledger.observation(branch)
    observation_time = f"{observation.observed_at:%Y-%m-%d %H:%M} UTC" if observation else never
    yield _line("database", f"observed {observation_time}")
    point = next((p for p in ports.ledger.restore_points(branch) if p.service == service.name), None)
    if point is None:
        yield _line("point", never)
    else:
        position = f"before {point.version}, by {point.by}: {point.lsn}, {point.at:%Y-%m-%d %H:%M:%S} UTC"
        yield _line("point", escape_markup(position))
    standing_plan = ports.ledger.standing_plan(service.name)
    fingerprint = running_fingerprint(ports.services.describe(service), service, ports)
    target = standing_plan.target_for(fingerprint) if standing_plan is not None else None
    if target is not None and target.schema_verdict is not None:
        verdict = target.schema_verdict
        colour = _COMPATIBILITY_COLOURS.get(verdict.compatibility, "red")
        version, reason = escape_markup(target.release.version), escape_markup(verdict.reason)
        yield _line("schema", f"[{colour}]{verdict.compatibility}[/] with {version}: {reason}")


def _alarms(service: ServiceSettings, ports: AllPorts) -> Iterator[str]:
    prefix = ports.settings.prefix
    states = ports.alarms.states((degraded_alarm(prefix, service.name), outage_alarm(prefix, service.name)))
    alarm_states = ", ".join(escape_markup(f"{name} {state}") for name, state in sorted(states.items()))
    yield _line("alarms", alarm_states or "none")


def _open_rollback(service: ServiceSettings, ports: AllPorts) -> Iterator[str]:
    lease = find_live_lease(service.name, ports)
    yield _line("rollback", f"[yellow]{escape_markup(lease.holder)}[/]" if lease else "none in progress")


def _pause(service: ServiceSettings, ports: AllPorts) -> Iterator[str]:
    pause = ports.ledger.pause(service.name)
    if pause is not None:
        since = f"since {pause.since:%Y-%m-%d %H:%M} UTC by {pause.by}: {pause.reason}"
        yield _line("paused", f"[yellow]no automatic rollbacks[/] {escape_markup(since)}")


def _obligations(service: ServiceSettings, ports: AllPorts) -> Iterator[str]:
    """List the settings that the operator has to restore, then those that open rollbacks of other services restore."""
    operator_obligations = list_obligations_of_operator(service.name, ports)
    for obligation in operator_obligations:
        yield _line("to restore", f"[red]{escape_markup(str(obligation))}[/]")
    for entry in ports.ledger.obligations(service.name).items:
        if entry.is_open and entry.rollback_service != service.name:
            kinds = escape_markup(", ".join(o.kind.replace("_", " ") for o in entry.obligations if o.handed_to is None))
            yield _line("will be restored", f"[yellow]by {escape_markup(entry.rollback_id)}: {kinds}[/]")
    if operator_obligations:
        unfence_command = f"rollback unfence {ports.settings.environment} --service {service.name} --reason '…'"
        yield _line("", f"to restore: {unfence_command}")


def _unreadable_items(service: ServiceSettings, ports: AllPorts) -> Iterator[str]:
    """List items of the ledger that could not be read: those of this service, and those that name no service."""
    for item in ports.ledger.unreadable():
        if service.name in item.key or "SERVICE#" not in item.key:
            yield _line("unreadable", f"[yellow]{escape_markup(item.key)}: {escape_markup(item.why)}[/]")


def _operator_actions(service: ServiceSettings, ports: AllPorts) -> Iterator[str]:
    for action in islice(ports.ledger.actions(service.name), _MAX_ACTIONS):
        verb = f"{action.verb} {action.subject}".strip()
        yield _line("by operator", escape_markup(f"{action.at:%Y-%m-%d %H:%M} {verb}, {action.by}: {action.reason}"))
