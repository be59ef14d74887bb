"""Findings of the doctor: one line each, with what was seen and what to do."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from rollback.check import Check, Verdict


class Group(StrEnum):
    """Groups of checks, in the order of the output."""

    ACCOUNT = "account"
    STACK = "stack"
    PERMISSIONS = "permissions"
    EVENTS = "events"
    ENTRANCES = "entrances"
    ALARMS = "alarms"
    SERVICE = "service"
    TARGETS = "targets"
    DATABASE = "database"
    NOTIFICATIONS = "notifications"
    TEST_EVENT = "test-event"


SUPPORT_CHECK = "service-is-supported"  # the one check that judges the kind of a service


@dataclass(frozen=True)
class Finding:
    """Result of one check.

    Attributes:
        check: name of the check; with the name of the service where the environment has several.
        verdict: SKIPPED means that the object was not looked at, which is never a pass.
        seen: what was seen, in one sentence.
        to_do: next action of the operator; empty if there is nothing to do.
    """

    group: Group
    check: str
    verdict: Verdict
    seen: str
    to_do: str = ""


@dataclass(frozen=True)
class Question:
    """One check that is still to be made. A failed call concerns this check alone."""

    group: Group
    check: str
    ask: Callable[[], Iterable[Finding]]


@dataclass(frozen=True)
class Reporter:
    """Makes the findings of one check."""

    group: Group
    check: str

    def passed(self, seen: str) -> Finding:
        """Return a finding without an objection."""
        return Finding(self.group, self.check, Verdict.PASS, seen)

    def warned(self, seen: str, to_do: str) -> Finding:
        """Return a finding that does not stop a rollback, or that is not certain."""
        return Finding(self.group, self.check, Verdict.WARN, seen, to_do)

    def failed(self, seen: str, to_do: str) -> Finding:
        """Return a finding that stops a rollback, or hides it from the operator."""
        return Finding(self.group, self.check, Verdict.FAIL, seen, to_do)

    def not_looked_at(self, reason: str, to_do: str) -> Finding:
        """Return a finding about an object that was not looked at."""
        return Finding(self.group, self.check, Verdict.SKIPPED, f"not looked at: {reason}", to_do)

    def judged(self, problems: Iterable[str], otherwise: str, to_do: str) -> Finding:
        """Return a failed finding that lists all problems, or a passed one without problems."""
        listed = list(problems)
        return self.failed("; ".join(listed), to_do) if listed else self.passed(otherwise)


def finding_of(group: Group, check: Check, to_do: str, *, suffix: str = "") -> Finding:
    """Make a finding of a check of the product itself. Its reason usually says what to do.

    Args:
        group: group of the finding.
        check: a check of readiness, or of a plan.
        to_do: next action if the check did not pass.
        suffix: text behind the name of the check, such as a version.
    """
    name = f"{check.name}{suffix}"
    return Finding(group, name, check.verdict, check.reason, "" if check.verdict is Verdict.PASS else to_do)


def count_verdicts(findings: Iterable[Finding]) -> Mapping[Verdict, int]:
    """Count the findings of each verdict."""
    counts = dict.fromkeys(Verdict, 0)
    for finding in findings:
        counts[finding.verdict] += 1
    return counts


def is_healthy(counts: Mapping[Verdict, int]) -> bool:
    """Report whether nothing failed, and everything was looked at."""
    return counts[Verdict.FAIL] == 0 and counts[Verdict.SKIPPED] == 0
