"""Readiness of a target: could ECS run it now? Three answers: yes, no, and not known.

A check that fails says no. A check that could not be made says neither: its evidence carries `NOT_KNOWN`. A thing that
is for others to see (another registry, a file system) is named, and counts neither for nor against the target.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum

from rollback.check import Check, Verdict

NOT_KNOWN = "not_known"  # in a check's evidence: the question had no answer at that time


class Existence(StrEnum):
    """Whether a thing that a definition refers to is there."""

    THERE = "there"
    GONE = "gone"
    HIDDEN = "hidden"  # for others to see: another account's, another registry's, or no permission
    NOT_ASKED = "not_asked"  # nothing of ours asks for things of this kind


def is_ready(checks: Iterable[Check]) -> bool | None:
    """Whether all checks speak for the target; None: one could not be made, or none was."""
    made = tuple(checks)
    if any(check.verdict is Verdict.FAIL for check in made):
        return False
    return True if made and not any(NOT_KNOWN in check.evidence for check in made) else None


def not_known(name: str, why: str) -> Check:
    """A check that could not be made: a warning, which says nothing against the target."""
    return Check.warned(name, f"could not be asked: {why}", evidence={NOT_KNOWN: name})


def check_existence(name: str, seen: Mapping[str, Existence], mend: str) -> Check:
    """One check of several things of a kind.

    Args:
        seen: thing, as a person would look for it → whether it is there.
        mend: what to do about those that are gone.
    """
    if not seen:
        return Check.passed(name, "the target refers to none")
    of = {sight: ", ".join(thing for thing, found in seen.items() if found is sight) for sight in Existence}
    unseen = [
        f"{said}: {of[sight]}"
        for sight, said in ((Existence.HIDDEN, "can't be looked up"), (Existence.NOT_ASKED, "not looked at"))
        if of[sight]
    ]
    if of[Existence.GONE]:
        return Check.failed(name, "; ".join((f"gone: {of[Existence.GONE]}", *unseen, mend)))
    if unseen:
        verdict = Verdict.WARN if of[Existence.HIDDEN] else Verdict.SKIPPED
        return Check(name=name, verdict=verdict, reason="; ".join(unseen))
    return Check.passed(name, f"all {len(seen)} are there")


def join_failures(checks: Iterable[Check]) -> str:
    """What speaks against a target, in one line; empty: nothing does."""
    return "; ".join(f"{check.name}: {check.reason}" for check in checks if check.verdict is Verdict.FAIL)
