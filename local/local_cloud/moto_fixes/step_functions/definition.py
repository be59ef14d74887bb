"""Transitions of a state machine definition, which CreateStateMachine checks and moto does not."""

import json
from collections.abc import Iterator
from typing import Any


def transition_problems(definition: str) -> list[str]:
    """Return each missing target and unreachable state of a definition (JSON), with its place."""
    return list(_machine_problems(json.loads(definition), ""))


def _machine_problems(machine: dict[str, Any], path: str) -> Iterator[str]:
    states: dict[str, dict[str, Any]] = machine.get("States", {})
    transitions = [(machine.get("StartAt"), f"{path}/StartAt")]
    for name, state in states.items():
        here = f"{path}/States/{name}"
        transitions += _targets(state, here)
        for child, child_path in _inner_machines(state, here):
            yield from _machine_problems(child, child_path)
    for target, place in transitions:
        if target not in states:
            yield f"MISSING_TRANSITION_TARGET: Missing transition target: {target} at {place}"
    targets = {target for target, _ in transitions}
    for name in states:
        if name not in targets:
            yield f'MISSING_TRANSITION_TARGET: State "{name}" is not reachable. at {path}/States/{name}'


def _targets(state: dict[str, Any], path: str) -> list[tuple[Any, str]]:
    targets = [(state[field], f"{path}/{field}") for field in ("Next", "Default") if field in state]
    for field in ("Choices", "Catch"):
        for index, rule in enumerate(state.get(field, [])):
            if "Next" in rule:
                targets.append((rule["Next"], f"{path}/{field}[{index}]/Next"))
    return targets


def _inner_machines(state: dict[str, Any], path: str) -> list[tuple[dict[str, Any], str]]:
    inner = [(state[field], f"{path}/{field}") for field in ("Iterator", "ItemProcessor") if field in state]
    return inner + [(branch, f"{path}/Branches[{i}]") for i, branch in enumerate(state.get("Branches", []))]
