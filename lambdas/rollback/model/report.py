"""What people are told when a rollback ends. Names of settings, never their values."""

from rollback.model.plan import Verdict
from rollback.model.request import Trigger
from rollback.model.rollback import OPERATOR, Outcome, Rollback

# The outcomes after which somebody has to look: nobody's service was put right.
_PAGES = frozenset({Outcome.FAILED, Outcome.REFUSED, Outcome.ABORTED})


def report_id(rollback: Rollback) -> str:
    """The same for every copy of one report: outcome, and what was left to a person, are part of it."""
    left = ":not-put-back" if _is_left_to_a_person(rollback) else ""
    return f"{rollback.id}:{rollback.outcome}{left}"


def is_page(rollback: Rollback) -> bool:
    """Whether a person has to do something; also when an alarm is real and the release is not the cause."""
    return rollback.outcome in _PAGES or _is_left_to_a_person(rollback) or _is_not_the_release(rollback)


def _is_left_to_a_person(rollback: Rollback) -> bool:
    return any(owed.handed_to == OPERATOR for owed in rollback.obligations)


def _is_not_the_release(rollback: Rollback) -> bool:
    judged = rollback.plan.checks if rollback.plan is not None else ()
    cleared = any(c.name == "release-is-the-cause" and c.verdict is Verdict.FAIL for c in judged)
    return cleared and rollback.trigger is Trigger.ALARM and rollback.outcome is Outcome.SUPPRESSED


def subject(rollback: Rollback) -> str:
    """At most 100 characters of ASCII, as SNS demands of an e-mail's subject."""
    text = f"[{rollback.environment}] rollback of {rollback.service_name} {rollback.outcome}"
    return text.encode("ascii", "replace").decode()[:100]


def message(rollback: Rollback) -> str:
    """The whole report in plain text."""
    lines = [
        f"Rollback {rollback.id}: {rollback.outcome}",
        f"Why: {rollback.reason or 'no reason was recorded'}",
        f"Trigger: {rollback.trigger}{_alarm(rollback)}",
    ]
    if rollback.plan is not None:
        target = rollback.plan.target.version if rollback.plan.target else "none"
        lines.append(f"From {rollback.plan.running.version} to {target}")
        lines += [
            f"  {c.verdict:7} {c.name}: {c.reason}" for c in rollback.plan.checks if c.verdict is not Verdict.PASS
        ]
    if rollback.verification is not None:
        lines.append(f"Verification: {rollback.verification.good_rounds} good rounds in a row")
        lines += [f"  {c.verdict:7} {c.name}: {c.reason}" for c in rollback.verification.checks]
    for owed in rollback.obligations:
        if owed.discharged_at is None:
            lines.append(f"NOT PUT BACK: {owed.kind} (handed to {owed.handed_to or 'nobody yet'}): was {owed.before}")
    if rollback.service is not None:
        lines.append(
            "CloudFormation still records the release that was left: a deploy that changes the service ships what the "
            "template says. Put the template on the release that runs now, or fix forward, before you deploy."
        )
    if rollback.recheck_at is not None:
        lines.append(f"Looked at again at {rollback.recheck_at:%H:%M:%S} UTC")
    lines.append(f"Report {report_id(rollback)}")
    return "\n".join(lines)


def _alarm(rollback: Rollback) -> str:
    return f" ({rollback.event.alarm})" if rollback.event is not None and rollback.event.alarm else ""
