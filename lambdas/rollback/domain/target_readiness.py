"""Readiness of a target, which says whether ECS could run it now: yes, no, or not known.

A failed check means no. A check that could not be made means not known: its evidence has `NOT_KNOWN`. A reference
that we can't look up (another registry, a file system) is named, and counts neither for nor against the target.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum

from rollback.check import Check, Verdict
from rollback.domain.releases.release import Release

NOT_KNOWN = "not_known"  # key in a check's evidence: the check could not be made


class Existence(StrEnum):
    """Existence of a resource that a task definition refers to."""

    THERE = "there"
    GONE = "gone"
    HIDDEN = "hidden"  # another account's or registry's, or no permission to look it up
    NOT_ASKED = "not_asked"  # no code of ours looks up this kind


def is_ready(checks: Iterable[Check]) -> bool | None:
    """Whether all checks passed; None: a check could not be made, or there was none."""
    all_checks = tuple(checks)
    if any(check.verdict is Verdict.FAIL for check in all_checks):
        return False
    return True if all_checks and not any(NOT_KNOWN in check.evidence for check in all_checks) else None


def unknown_check(name: str, reason: str) -> Check:
    """A check that could not be made: a warning that does not count against the target."""
    return Check.warned(name, f"not checked: {reason}", evidence={NOT_KNOWN: name})


def check_digests_known(target: Release) -> tuple[Check, ...]:
    """A failed check if the digest of the target's image was never known; no check otherwise. Needs no call."""
    if target.is_resolved:
        return ()
    reason = f"{target.version} ran an image whose digest was never known"
    return (Check.failed("image-exists", reason),)


def check_existence(name: str, existence_of: Mapping[str, Existence], remedy: str) -> Check:
    """Check several resources of one kind.

    Args:
        name: name of the check.
        existence_of: resource, as an operator would search for it → its existence.
        remedy: action for the resources that are gone.
    """
    if not existence_of:
        return Check.passed(name, "the target's definition refers to none")
    by_existence = {
        existence: ", ".join(
            resource for resource, known_existence in existence_of.items() if known_existence is existence
        )
        for existence in Existence
    }
    texts = ((Existence.HIDDEN, "can't be looked up"), (Existence.NOT_ASKED, "not checked"))
    unchecked = [f"{text}: {by_existence[existence]}" for existence, text in texts if by_existence[existence]]
    if by_existence[Existence.GONE]:
        return Check.failed(name, "; ".join((f"gone: {by_existence[Existence.GONE]}", *unchecked, remedy)))
    if unchecked:
        verdict = Verdict.WARN if by_existence[Existence.HIDDEN] else Verdict.SKIPPED
        return Check(name=name, verdict=verdict, reason="; ".join(unchecked))
    return Check.passed(name, f"all {len(existence_of)} exist")


def join_failures(checks: Iterable[Check]) -> str:
    """Join the failed checks in one line; empty: none failed."""
    return "; ".join(f"{check.name}: {check.reason}" for check in checks if check.verdict is Verdict.FAIL)
