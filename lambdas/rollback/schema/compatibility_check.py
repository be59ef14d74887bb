"""The check of the plan about the schema, and the way on that a refusal offers."""

import json
import shlex
from typing import Any, Literal

from rollback.check import Check, Verdict
from rollback.domain.database.schema_verdict import Compatibility, SchemaVerdict
from rollback.domain.request import Request, RollbackType
from rollback.text import one_line

CHECK_NAME = "schema-is-compatible"
_LONGEST_REASON, _MOST_DIFFERENCES = 800, 3


def full_rollback_command(environment: str, service: str, version: str, *, needs_force: bool = False) -> str:
    """For a shell. `needs_force`: the environment wants a person's approval."""
    words = ("rollback", "start", environment, "--type", RollbackType.FULL.value, "--service", service)
    by_force = ("--force", "--reason", "approved by …") if needs_force else ()
    return shlex.join((*words, "--target-version", version, *by_force))


def full_rollback_input(service: str, version: str, *, needs_force: bool = False) -> str:
    """For "Start execution" in the console of Step Functions; JSON on one line."""
    asked = {"type": RollbackType.FULL.value, "service": service, "target_version": version}
    by_force = {"force": True, "reason": "approved by …"} if needs_force else {}
    return json.dumps({**asked, **by_force}, ensure_ascii=False)


def refusal(
    verdict: SchemaVerdict, environment: str, service: str, version: str, *, needs_force: bool = False, remark: str = ""
) -> str:
    """Why going back to a version of the service alone is refused, and the full rollback, ready to paste."""
    reason = one_line(verdict.reason, _LONGEST_REASON)  # the commands behind it must not be cut off
    reason = f"{reason}; {remark}" if remark else reason
    return (
        f"{version} of {service} can't go back alone, the schema is {verdict.compatibility}: {reason}. "
        "Nothing was changed. To take the database back with it (what was written since leaves it, and is kept in a "
        f"backup branch):\n  {full_rollback_command(environment, service, version, needs_force=needs_force)}\n"
        f"or start the execution with the input\n  {full_rollback_input(service, version, needs_force=needs_force)}"
    )


def evidence_of(verdict: SchemaVerdict) -> dict[str, Any]:
    """The verdict as a check keeps it: bounded, since a document has one of each rollback's checks (400 KB an item)."""
    return verdict.bounded.model_dump(mode="json", exclude_none=True)


def explain_no_full_rollback(verdict: SchemaVerdict) -> str:
    """Why an environment that wants a full rollback does not get one; empty: it does.

    A full rollback overwrites data. Not knowing is no evidence for that, and neither is a difference that no shipped
    migration explains: the data of an earlier time may have it too.
    """
    if verdict.is_attributed:
        return ""
    if verdict.compatibility is Compatibility.UNKNOWN:
        return "the database does not go back by itself on an unknown verdict"
    no_migration = "the database does not go back by itself: no migration that a later release shipped"
    if verdict.unexplained:
        return f"{no_migration} explains that {one_line(_listed(verdict.unexplained), _LONGEST_REASON // 2)}"
    return f"{no_migration} breaks it"


def _listed(differences: tuple[str, ...]) -> str:
    more = len(differences) - _MOST_DIFFERENCES
    return "; ".join((*differences[:_MOST_DIFFERENCES], *((f"and {more} more",) if more > 0 else ())))


def schema_check(
    verdict: SchemaVerdict, environment: str, service: str, version: str, *, needs_force: bool = False, remark: str = ""
) -> Check:
    """Rule 12: breaking and unknown refuse, unless a person forces it.

    Args:
        remark: more about a refusal.
    """
    fits = verdict.compatibility is Compatibility.COMPATIBLE
    against = "" if fits else refusal(verdict, environment, service, version, needs_force=needs_force, remark=remark)
    return Check(
        name=CHECK_NAME,
        verdict=Verdict.PASS if fits else Verdict.FAIL,
        reason=against or verdict.reason,
        evidence=evidence_of(verdict),
        forceable=True,
    )


def escalate_to_full(
    request: Request, verdict: SchemaVerdict, on_incompatible_schema: Literal["refuse", "full"]
) -> Request:
    """What is done about the request: itself, or the full rollback that it becomes by the environment's setting.

    Only a verdict that shipped migrations explain makes it one: any other is refused, as `refuse` does. As a full one
    it needs the approval that a full one needs, also if it was an emergency; a forced one stays as it is.
    """
    alone = request.type in (RollbackType.SERVICE, RollbackType.EMERGENCY)
    if alone and verdict.is_attributed and not request.force and on_incompatible_schema == "full":
        return request.model_copy(update={"type": RollbackType.FULL})
    return request
