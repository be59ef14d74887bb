"""What people are told when a rollback ends. Names of settings, never their values."""

from collections.abc import Iterable

from rollback.model.check import Check, Verdict
from rollback.model.names import family_of, last_known_good_family, original_family
from rollback.model.report_database import about_database, safe_condition
from rollback.model.request import Trigger
from rollback.model.rollback import Outcome, Rollback
from rollback.model.settings import ServiceSettings

# The outcomes after which somebody has to look: nobody's service was put right.
_PAGES = frozenset({Outcome.FAILED, Outcome.REFUSED, Outcome.ABORTED})


def report_id(rollback: Rollback) -> str:
    """The same for every copy of one report: outcome, and what was left to a person, are part of it."""
    left = ":not-put-back" if _is_left_to_a_person(rollback) else ""
    return f"{rollback.id}:{rollback.outcome}{left}"


def is_page(rollback: Rollback) -> bool:
    """Whether a person has to do something; also when an alarm is real and the release is not the cause."""
    ended_badly = rollback.outcome in _PAGES and rollback.superseded_by is None  # else its heir tells how it ends
    return ended_badly or _is_left_to_a_person(rollback) or _is_not_the_release(rollback)


def _is_left_to_a_person(rollback: Rollback) -> bool:
    return bool(rollback.left_to_operator())


def _is_not_the_release(rollback: Rollback) -> bool:
    judged = rollback.plan.checks if rollback.plan is not None else ()
    cleared = any(c.name == "release-is-the-cause" and c.verdict is Verdict.FAIL for c in judged)
    return cleared and rollback.trigger is Trigger.ALARM and rollback.outcome is Outcome.SUPPRESSED


def subject(rollback: Rollback) -> str:
    """At most 100 characters of ASCII, as SNS demands of an e-mail's subject."""
    text = f"[{rollback.environment}] rollback of {rollback.service_name} {rollback.outcome}"
    return text.encode("ascii", "replace").decode()[:100]


def message(rollback: Rollback, service: ServiceSettings) -> str:
    """The whole report in plain text."""
    lines = [
        f"Rollback {rollback.id}: {rollback.outcome}",
        f"Why: {rollback.reason or 'no reason was recorded'}",
        f"Trigger: {rollback.trigger}{_alarm(rollback)}",
        *_checks(rollback.admission),
    ]
    if rollback.plan is not None:
        target = rollback.plan.target.version if rollback.plan.target else "none"
        lines.append(f"From {rollback.plan.running.version} to {target}")
        lines += _checks(rollback.plan.checks)
    lines += about_database(rollback)
    for tried in rollback.service.tried if rollback.service is not None else ():
        lines.append(f"Tried {tried.rung} ({tried.since:%H:%M:%S} to {tried.until:%H:%M:%S} UTC): {tried.why_left}")
        lines += [f"  ECS: {event}" for event in tried.last_events]
    if rollback.verification is not None:
        lines.append(f"Verification: {rollback.verification.good_rounds} good rounds in a row")
        lines += [f"  {c.verdict:7} {c.name}: {c.reason}" for c in rollback.verification.checks]
    for owed in rollback.obligations:
        if owed.discharged_at is None:
            of = f" of {owed.service}" if owed.service is not None else ""
            lines.append(
                f"NOT PUT BACK: {owed.kind}{of} (handed to {owed.handed_to or 'nobody yet'}): was {owed.before}"
            )
    if is_page(rollback):
        lines += safe_condition(rollback)
    if rollback.drift:
        lines.append(rollback.drift)
    if rollback.recheck_at is not None:
        lines.append(f"Looked at again at {rollback.recheck_at:%H:%M:%S} UTC")
    if is_page(rollback):
        lines += ["Escalation level 3: a person has to look. Next:", *(f"  {c}" for c in _commands(rollback, service))]
    lines.append(f"Report {report_id(rollback)}")
    return "\n".join(lines)


def _checks(checks: Iterable[Check]) -> list[str]:
    """Those that say something against it."""
    return [f"  {c.verdict:7} {c.name}: {c.reason}" for c in checks if c.verdict in (Verdict.FAIL, Verdict.WARN)]


def _commands(rollback: Rollback, service: ServiceSettings) -> list[str]:
    """Ready to paste, the least harmful first."""
    environment, cluster, name = rollback.environment, service.cluster, service.ecs_service
    on = f"--cluster {cluster} --service {name}"
    commands = [
        f"rollback status {environment}",
        f"rollback show {environment} {rollback.id}",
        f"aws ecs describe-services --cluster {cluster} --services {name} --query 'services[0].events[:5]'",
    ]
    if rollback.is_fenced or rollback.left_to_operator():
        commands.append(f"rollback unfence {environment} --service {service.name} --reason '…'")
    target = rollback.plan.target if rollback.plan is not None else None
    if target is None:
        commands.append(f"rollback versions {environment}")
        commands.append(f"rollback start {environment} --service {service.name} --target-version VERSION --force")
        return commands
    commands.append(f"rollback start {environment} --type emergency --service {service.name} --force")
    family = last_known_good_family(original_family(family_of(target.definition_arn)))
    commands.append(f"aws ecs update-service {on} --task-definition {family} --force-new-deployment")
    return commands


def _alarm(rollback: Rollback) -> str:
    return f" ({rollback.event.alarm})" if rollback.event is not None and rollback.event.alarm else ""
