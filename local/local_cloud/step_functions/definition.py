"""Checks the transitions of a state machine definition, as CreateStateMachine does and moto does not."""

import json
from collections.abc import Iterator
from typing import Any


def problems(definition: str) -> list[str]:
    """What is wrong with the transitions of a definition (JSON), each with the place; empty when nothing is."""
    return list(_machine_problems(json.loads(definition), ""))


def _machine_problems(machine: dict[str, Any], path: str) -> Iterator[str]:
    states: dict[str, dict[str, Any]] = machine.get("States", {})
    wanted = [(machine.get("StartAt"), f"{path}/StartAt")]
    for name, state in states.items():
        here = f"{path}/States/{name}"
        wanted += _targets(state, here)
        for child, child_path in _inner_machines(state, here):
            yield from _machine_problems(child, child_path)
    for target, place in wanted:
        if target not in states:
            yield f"MISSING_TRANSITION_TARGET: Missing transition target: {target} at {place}"
    reached = {target for target, _ in wanted}
    for name in states:
        if name not in reached:
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
