"""The check of the plan about the schema, and the way on that a refusal offers."""

import json
import shlex
from typing import Literal

from rollback.model.check import Check, Verdict
from rollback.model.request import Request, RollbackType
from rollback.model.schema_compatibility import SchemaVerdict
from rollback.model.schema_finding import Compatibility
from rollback.model.text import one_line

CHECK_NAME = "schema-is-compatible"
_LONGEST_REASON = 800


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


def refusal(verdict: SchemaVerdict, environment: str, service: str, version: str, *, needs_force: bool = False) -> str:
    """Why going back to a version of the service alone is refused, and the full rollback, ready to paste."""
    reason = one_line(verdict.reason, _LONGEST_REASON)  # the commands behind it must not be cut off
    return (
        f"{version} of {service} can't go back alone, the schema is {verdict.compatibility}: {reason}. "
        "Nothing was changed. To take the database back with it (what was written since leaves it, and is kept in a "
        f"backup branch):\n  {full_rollback_command(environment, service, version, needs_force=needs_force)}\n"
        f"or start the execution with the input\n  {full_rollback_input(service, version, needs_force=needs_force)}"
    )


def schema_check(
    verdict: SchemaVerdict, environment: str, service: str, version: str, *, needs_force: bool = False
) -> Check:
    """Rule 12: breaking and unknown refuse, unless a person forces it."""
    fits = verdict.compatibility is Compatibility.COMPATIBLE
    return Check(
        name=CHECK_NAME,
        verdict=Verdict.PASS if fits else Verdict.FAIL,
        reason=verdict.reason if fits else refusal(verdict, environment, service, version, needs_force=needs_force),
        evidence=verdict.model_dump(mode="json", exclude_none=True),
        forceable=True,
    )


def widened(request: Request, verdict: SchemaVerdict, on_incompatible_schema: Literal["refuse", "full"]) -> Request:
    """What is done about the request: itself, or the full rollback that it becomes by the environment's setting.

    As a full one it needs the approval that a full one needs, also if it was an emergency; a forced one stays as it is.
    """
    alone = request.type in (RollbackType.SERVICE, RollbackType.EMERGENCY)
    blocked = verdict.compatibility is not Compatibility.COMPATIBLE and not request.force
    if alone and blocked and on_incompatible_schema == "full":
        return request.model_copy(update={"type": RollbackType.FULL})
    return request
