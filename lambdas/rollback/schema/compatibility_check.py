"""The plan's check of the schema, and the commands that a refusal offers."""

import json
import shlex
from typing import Any, Literal

from rollback.check import Check, Verdict
from rollback.domain.database.schema_verdict import Compatibility, SchemaVerdict
from rollback.domain.request import Request, RollbackType
from rollback.text import one_line

CHECK_NAME = "schema-is-compatible"
_MAX_REASON, _MAX_DIFFERENCES = 800, 3


def full_rollback_command(environment: str, service: str, version: str) -> str:
    """The shell command that starts a full rollback.

    Args:
        environment: its name.
        service: its name in the settings.
        version: the release to go back to.
    """
    words = ("rollback", "start", environment, "--type", RollbackType.FULL.value, "--service", service)
    return shlex.join((*words, "--target-version", version))


def full_rollback_input(service: str, version: str) -> str:
    """The same request for "Start execution" in the console of Step Functions, as JSON on one line."""
    request = {"type": RollbackType.FULL.value, "service": service, "target_version": version}
    return json.dumps(request, ensure_ascii=False)


def refusal_text(verdict: SchemaVerdict, environment: str, service: str, version: str, *, remark: str = "") -> str:
    """Say why the service can't go back without its database, and give the full rollback's commands, ready to paste."""
    reason = one_line(verdict.reason, _MAX_REASON)  # a longer one would cut off the commands after it
    reason = f"{reason}; {remark}" if remark else reason
    return (
        f"{service} can't go back to {version} without its database, since the schema is {verdict.compatibility}: "
        f"{reason}. "
        "Nothing was changed. To roll the database back too (rows written since are removed, and kept in a backup "
        f"branch):\n  {full_rollback_command(environment, service, version)}\n"
        f"or start the execution with the input\n  {full_rollback_input(service, version)}"
    )


def evidence_of(verdict: SchemaVerdict) -> dict[str, Any]:
    """The verdict as evidence of a check, bounded: DynamoDB allows a rollback's document 400 KB."""
    return verdict.bounded.model_dump(mode="json", exclude_none=True)


def explain_no_full_rollback(verdict: SchemaVerdict) -> str:
    """Say why the verdict does not justify a full rollback; empty: it does.

    A full rollback overwrites data. An unknown verdict is no evidence for that. Neither is a difference that no
    shipped migration explains: the data of an earlier time may have the same difference.
    """
    if verdict.is_attributed:
        return ""
    if verdict.compatibility is Compatibility.UNKNOWN:
        return "an unknown verdict starts no rollback of the database by itself"
    no_migration = "no rollback of the database starts by itself: no migration that a later release shipped"
    if verdict.unexplained:
        return f"{no_migration} explains that {one_line(_listed(verdict.unexplained), _MAX_REASON // 2)}"
    return f"{no_migration} breaks it"


def _listed(differences: tuple[str, ...]) -> str:
    more = len(differences) - _MAX_DIFFERENCES
    return "; ".join((*differences[:_MAX_DIFFERENCES], *((f"and {more} more",) if more > 0 else ())))


def schema_check(verdict: SchemaVerdict, environment: str, service: str, version: str, *, remark: str = "") -> Check:
    """The check of rule 12: a breaking or unknown schema refuses the rollback, unless an operator forces it.

    Args:
        verdict: the verdict on the target.
        environment: its name, for the commands of a refusal.
        service: its name in the settings.
        version: the target's.
        remark: more about a refusal.
    """
    is_compatible = verdict.compatibility is Compatibility.COMPATIBLE
    refusal = ""
    if not is_compatible:
        refusal = refusal_text(verdict, environment, service, version, remark=remark)
    return Check(
        name=CHECK_NAME,
        verdict=Verdict.PASS if is_compatible else Verdict.FAIL,
        reason=refusal or verdict.reason,
        evidence=evidence_of(verdict),
        is_forceable=True,
    )


def escalate_to_full(
    request: Request, verdict: SchemaVerdict, on_incompatible_schema: Literal["refuse", "full"]
) -> Request:
    """Turn a rollback of the service alone into a full one, where the environment's setting says so.

    Only a verdict that shipped migrations explain does that. Any other verdict refuses the request. A request that
    became full needs the approval of a full one, also in an emergency. A forced request stays as it is.
    """
    is_service_alone = request.type in (RollbackType.SERVICE, RollbackType.EMERGENCY)
    if is_service_alone and verdict.is_attributed and not request.force and on_incompatible_schema == "full":
        return request.model_copy(update={"type": RollbackType.FULL})
    return request
