"""The report's lines about settings that are not restored yet, each with its recorded value and the next action."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from rollback.domain.obligation import OPERATOR, Obligation, ObligationKind
from rollback.domain.rollback import Rollback


def format_obligations(rollback: Rollback) -> Iterator[str]:
    """Lines of the report, one for each open obligation."""
    return (_line(obligation, rollback) for obligation in rollback.obligations if obligation.discharged_at is None)


def _line(obligation: Obligation, rollback: Rollback) -> str:
    service_name = rollback.service_of_obligation(obligation)
    setting = _setting(obligation, service_name)
    if obligation.handed_to is None:  # a page goes out before Conclude tries to discharge it
        return f"To restore: {setting}; another report follows if that fails"
    if obligation.handed_to != OPERATOR:
        return f"NOT RESTORED: {setting}. Rollback {obligation.handed_to} restores the value"
    unfence = f"rollback unfence {rollback.environment} --service {service_name} --reason '…'"
    return f"NOT RESTORED: {setting}. Next: {unfence}"


def _setting(obligation: Obligation, service_name: str) -> str:
    """Name the setting and its recorded value; a value of an unknown shape is shown as JSON."""
    recorded = obligation.before
    match obligation.kind:
        case ObligationKind.FENCE:
            value = recorded.get("desired_count")
            return f"desired count of {service_name}, recorded value {_json(recorded) if value is None else value}"
        case ObligationKind.SCALING:
            return f"scalable target of {service_name}, recorded value {_scalable_target(recorded)}"
        case ObligationKind.DEPLOYMENT_CONFIGURATION:
            return f"deployment configuration of {service_name}, recorded value {_configuration(recorded)}"
        case ObligationKind.BRANCH_PROTECTION:
            return f"protection of branch {recorded.get('branch_id', _json(recorded))}, recorded value protected"
        case ObligationKind.PREVIEW_BRANCH:
            return f"preview branch {recorded.get('name', _json(recorded))} of a drill, recorded value: no such branch"
        case _:
            return f"{obligation.kind} of {service_name}, recorded value {_json(recorded)}"


def _scalable_target(recorded: Mapping[str, Any]) -> str:
    match recorded:
        case {"min_capacity": minimum, "max_capacity": maximum, "suspended": dict(flags)}:
            suspended = ", ".join(sorted(flag for flag, is_suspended in flags.items() if is_suspended))
            return f"{minimum} to {maximum} tasks, suspended: {suspended or 'none'}"
        case _:
            return _json(recorded)


def _configuration(recorded: Mapping[str, Any]) -> str:
    return ", ".join(f"{part} {_part(value)}" for part, value in recorded.items()) or _json(recorded)


def _part(value: object) -> str:
    if isinstance(value, dict) and not any(isinstance(entry, dict | list) for entry in value.values()):
        return f"({', '.join(f'{name} {_json(entry)}' for name, entry in value.items())})"
    return _json(value)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
