"""Reduce the arguments of a port's method to values that a log may have: an allow-list of kinds and names.

Bodies, SQL parameters, secrets, addresses and task definitions are never among them: an unknown kind is named by its
type.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import Any

from rollback.domain.lease import Lease
from rollback.domain.releases.release import Release
from rollback.domain.rollback import Rollback
from rollback.domain.settings.environment import ServiceSettings
from rollback.text import one_line

# Parameters whose texts are names or ids by their declaration. Any other text is left out.
SAFE_TEXTS = frozenset(
    {
        "aggregation_key", "alarm", "branch", "branch_id", "cluster", "database", "definition_arn", "deployment_arn",
        "endpoint_id", "execution", "family", "fingerprint", "name", "parent_id", "preserve_under_name", "project_id",
        "rollback_id", "service", "sha256", "source_branch_id", "subject", "task_arn",
    }
)  # fmt: skip
_TEXT_LIMIT = 200


def safe_arguments(
    parameters: Sequence[str], positional: Sequence[object], keywords: Mapping[str, object]
) -> dict[str, Any]:
    """Return parameter → value or type, for a call with these arguments.

    Args:
        parameters: names of the method's parameters, without `self`.
        positional: positional arguments of the call.
        keywords: keyword arguments of the call.
    """
    named = {**dict(zip(parameters, positional, strict=False)), **keywords}
    return {name: _reduce(name, value) for name, value in named.items()}


def _reduce(name: str, value: object) -> Any:
    match value:
        case None | bool() | int() | float():
            return value
        case Enum():
            return str(value.value)
        case datetime():
            return value.isoformat()
        case str():
            return one_line(value, _TEXT_LIMIT) if name in SAFE_TEXTS else "str"
        case Rollback():
            return {"id": value.id, "version": value.version}
        case Release():
            return {"version": value.version, "fingerprint": value.fingerprint}
        case Lease():
            return {"service": value.service, "holder": value.holder, "counter": value.counter}
        case ServiceSettings():
            return value.name
        case _:
            return type(value).__name__
