"""Read the status of a service. A part that can't be read costs its own members only."""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from rollback.check import Verdict
from rollback.domain.approval.commands import decision_commands
from rollback.domain.drills.completed_drill import days_since
from rollback.domain.releases.release import last_known_good
from rollback.domain.releases.release_names import release_label
from rollback.domain.rollback import Rollback, service_of
from rollback.domain.settings.environment import ServiceSettings
from rollback.domain.standing_plan import StandingPlan
from rollback.errors import RollbackError
from rollback.identity.candidates import find_releases_by_name
from rollback.identity.identify import running_fingerprint
from rollback.leases.holder import find_live_lease, find_rollback
from rollback.names import degraded_alarm, outage_alarm
from rollback.operations.unfence import list_obligations_of_operator
from rollback.ports.all_ports import AllPorts
from rollback.reports.approval import waiting_in_words
from rollback.service.stack import describe_drift
from rollback_cli.output.document import CheckResult, NotRead, ReleaseRef
from rollback_cli.output.status import document as form

_MAX_ACTIONS = 3
_MAX_COUNTED = 500
Members = Iterator[dict[str, Any]]


def read_status(service: ServiceSettings, ports: AllPorts) -> form.ServiceStatus:
    """Read the status of a service."""
    members: dict[str, Any] = {}
    not_read = []
    for part, read in _PARTS:
        try:
            for some in read(service, ports):
                members |= some
        except RollbackError as failure:
            not_read.append(NotRead(part=part, reason=str(failure)))
    return form.ServiceStatus(
        service=service.name,
        environment=ports.settings.environment,
        mode=ports.settings.policy.mode,
        not_read=tuple(not_read),
        **members,
    )


def _running_release(service: ServiceSettings, ports: AllPorts) -> Members:
    view = ports.services.describe(service)
    tasks = form.Tasks(running=view.running_count, desired=view.desired_count, rollout=view.primary.rollout_state)
    yield {"tasks": tasks}
    fingerprint = running_fingerprint(view, service, ports)
    release = ports.ledger.release(service.name, fingerprint)
    yield {"running": ReleaseRef.of(release) if release is not None else None}
    target = last_known_good(ports.ledger.promoted(service.name), fingerprint)
    if target is not None:
        name = release_label(target, find_releases_by_name(service.name, target.version, ports))
        yield {"target": form.Target(name=name, release=ReleaseRef.of(target))}
    yield {"drift": describe_drift(service, view.primary.definition_arn, ports)}


def _readiness(service: ServiceSettings, ports: AllPorts) -> Members:
    plan = ports.ledger.standing_plan(service.name)
    if plan is None:
        yield {"readiness": form.Readiness(state="never_computed", computed_at=None, age_minutes=None)}
        return
    minutes = (ports.clock.now() - plan.computed_at).total_seconds() / 60
    yield {
        "readiness": form.Readiness(
            state=_readiness_state(plan),
            computed_at=plan.computed_at,
            age_minutes=max(0.0, minutes),
            checks=tuple(map(CheckResult.of, plan.readiness)),
        )
    }


def _readiness_state(plan: StandingPlan) -> str:
    """Say whether the last known good, or another target, is ready for a rollback."""
    if plan.is_ready:
        return "ready"
    has_other_target = any(
        check.name == "usable-target-exists" and check.verdict is Verdict.WARN for check in plan.readiness
    )
    return "other_target_ready" if has_other_target else "not_ready"


def _database(service: ServiceSettings, ports: AllPorts) -> Members:
    """Read what the janitor recorded of the branch; nothing for a service without a database."""
    settings = ports.settings.database
    is_used = settings is not None and ports.settings.writes_to_observed_branch(service.name)
    yield {"is_database_used": is_used}
    if settings is None or not is_used:
        return
    branch = settings.branch_key(None)
    observation = ports.ledger.observation(branch)
    state = form.DatabaseState(observed_at=observation.observed_at if observation is not None else None)
    yield {"database": state}
    point = next((p for p in ports.ledger.restore_points(branch) if p.service == service.name), None)
    if point is not None:
        before = form.PointBefore(version=point.version, by=point.by, lsn=str(point.lsn), at=point.at)
        state = state.model_copy(update={"restore_point": before})
        yield {"database": state}
    plan = ports.ledger.standing_plan(service.name)
    fingerprint = running_fingerprint(ports.services.describe(service), service, ports)
    target = plan.target_for(fingerprint) if plan is not None else None
    if target is not None and target.schema_verdict is not None:
        verdict, version = target.schema_verdict, target.release.version
        compared = form.SchemaState(compatibility=verdict.compatibility, version=version, reason=verdict.reason)
        yield {"database": state.model_copy(update={"schema_state": compared})}


def _alarms(service: ServiceSettings, ports: AllPorts) -> Members:
    prefix = ports.settings.prefix
    states = ports.alarms.states((degraded_alarm(prefix, service.name), outage_alarm(prefix, service.name)))
    yield {"alarms": tuple(form.AlarmState(name=name, state=state) for name, state in sorted(states.items()))}


def _rollbacks(service: ServiceSettings, ports: AllPorts) -> Members:
    lease = find_live_lease(service.name, ports)
    yield {"open_rollback": lease.holder if lease is not None else None}
    waiting = [other for other in _waiting_rollbacks(service, ports) if lease is None or other.id != lease.holder]
    yield {"waiting": tuple(map(_describe_waiting, waiting))}


def _waiting_rollbacks(service: ServiceSettings, ports: AllPorts) -> Iterator[Rollback]:
    """List the rollbacks that wait for an approval; such a rollback holds no lease."""
    for entry in ports.ledger.pending(service.name).items:
        rollback = find_rollback(entry.rollback_id, ports) if entry.is_open else None
        if rollback is not None and rollback.is_at_gate:
            yield rollback


def _describe_waiting(rollback: Rollback) -> form.WaitingRollback:
    commands = decision_commands(rollback.environment, rollback.id)
    return form.WaitingRollback(id=rollback.id, text=waiting_in_words(rollback) or "", commands=commands)


def _last_drill(service: ServiceSettings, ports: AllPorts) -> Members:
    drills = ports.settings.drills
    yield {"has_drill_schedule": drills.schedule is not None}
    drill = ports.ledger.last_drill(service.name)
    if drill is None:
        return
    days = days_since(drill, ports.clock.now(), drills.max_age_days)
    yield {
        "last_drill": form.LastDrill(
            rollback_id=drill.rollback_id,
            scenario=drill.scenario,
            ended_at=drill.ended_at,
            age_days=days,
            recovery_seconds=drill.recovery_seconds,
            is_too_old=drills.schedule is not None and days > drills.max_age_days,
        )
    }


def _pause(service: ServiceSettings, ports: AllPorts) -> Members:
    pause = ports.ledger.pause(service.name)
    if pause is not None:
        yield {"paused": form.PausedSince(since=pause.since, by=pause.by, reason=pause.reason)}


def _obligations(service: ServiceSettings, ports: AllPorts) -> Members:
    """Read the settings that the operator has to restore, and those that open rollbacks of other services restore."""
    yield {"to_restore": tuple(map(str, list_obligations_of_operator(service.name, ports)))}
    entries = ports.ledger.obligations(service.name).items
    yield {
        "will_be_restored": tuple(
            form.PromisedRestore(
                rollback_id=entry.rollback_id,
                kinds=tuple(o.kind.replace("_", " ") for o in entry.obligations if o.handed_to is None),
            )
            for entry in entries
            if entry.is_open and entry.rollback_service != service.name
        )
    }


def _unreadable_items(service: ServiceSettings, ports: AllPorts) -> Members:
    """List items of the ledger that could not be read: those of this service, and those that name no service."""
    items = [i for i in ports.ledger.unreadable() if service.name in i.key or "SERVICE#" not in i.key]
    yield {"unreadable": tuple(form.UnreadableRecord(key=item.key, reason=item.why) for item in items)}


def _late_deliveries(service: ServiceSettings, ports: AllPorts) -> Members:
    """List messages of the service's rollbacks that are due, with the last error."""
    due = [d for d in islice(ports.ledger.due_deliveries(), _MAX_COUNTED) if service_of(d.rollback_id) == service.name]
    listed = tuple(
        form.LateDelivery(
            rollback_id=delivery.rollback_id,
            channel=delivery.channel,
            due_since=delivery.due_since,
            attempts=delivery.attempts,
            last_error=delivery.last_error or "",
        )
        for delivery in due[:_MAX_ACTIONS]
    )
    yield {"late_deliveries": listed, "late_delivery_count": len(due)}


def _operator_actions(service: ServiceSettings, ports: AllPorts) -> Members:
    actions = islice(ports.ledger.actions(service.name), _MAX_ACTIONS)
    yield {
        "operator_actions": tuple(
            form.RecordedAction(at=a.at, verb=a.verb, subject=a.subject, by=a.by, reason=a.reason) for a in actions
        )
    }


_PARTS: tuple[tuple[str, Callable[[ServiceSettings, AllPorts], Members]], ...] = (
    ("runs", _running_release),
    ("ready", _readiness),
    ("database", _database),
    ("alarms", _alarms),
    ("rollback", _rollbacks),
    ("drill", _last_drill),
    ("paused", _pause),
    ("to restore", _obligations),
    ("unreadable", _unreadable_items),
    ("not delivered", _late_deliveries),
    ("by operator", _operator_actions),
)
