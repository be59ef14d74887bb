"""The state machines have the edges of the route, and are valid Amazon States Language."""

import fnmatch
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from rollback import errors
from rollback.names import INVALID_INPUT
from rollback.promotion.promote import PromotionCursor
from rollback.workflow.route import EDGES, ENTRANCES, Step, entrance
from rollback.workflow.runner import Cursor
from rollback_constructs.workflow import CHOOSE_ENTRANCE, INVALID_INPUT_STATE

PROJECT = Path(__file__).parents[2]
WITHOUT_DATABASE = [f"macro-ai-{name}-rollback" for name in ("production", "staging", "feature")]
WITH_DATABASE = [f"macro-ai-{name}-rollback with a database" for name in ("production", "staging")]
WORKFLOWS = [*WITHOUT_DATABASE, *WITH_DATABASE]
PROMOTIONS = [
    *(f"macro-ai-{name}-promotion" for name in ("production", "staging", "feature")),
    *(f"macro-ai-{name}-promotion with a database" for name in ("production", "staging")),
]
WATCHES = [name.replace("-promotion", "-release-watch") for name in PROMOTIONS]
Definitions = dict[str, dict[str, Any]]


def step_of(state: dict[str, Any]) -> Step:
    return Step.DONE if state["Type"] == "Succeed" else Step(state["Parameters"]["Payload"]["step"])


def is_wait(state: dict[str, Any]) -> bool:
    """Return whether a state only waits: for a time, or for a decision and a time."""
    return state["Type"] == "Wait" or str(state.get("Resource", "")).endswith(".waitForTaskToken")


def holds(rule: dict[str, Any], execution_input: Any) -> bool:
    """Return whether a Choice rule matches an input: the operators that our rules use, strict about types as AWS is."""
    if "And" in rule:
        return all(holds(part, execution_input) for part in rule["And"])
    value, missing = execution_input, object()
    for field in rule["Variable"].removeprefix("$.").split("."):
        value = value.get(field, missing) if isinstance(value, dict) else missing
    if "IsPresent" in rule:
        return (value is not missing) is rule["IsPresent"]
    if not isinstance(value, str):
        return False
    if "StringEquals" in rule:
        return bool(value == rule["StringEquals"])
    return fnmatch.fnmatchcase(value, rule["StringMatches"])


def edges(definition: dict[str, Any]) -> dict[Step, set[Step]]:
    """Return the steps that each step can lead to, through its Choice and its Wait, if it has one."""
    states = definition["States"]
    targets_by_step: dict[Step, set[Step]] = {}
    for state in states.values():
        if state["Type"] not in {"Task", "Succeed"} or is_wait(state):
            continue
        targets = targets_by_step.setdefault(step_of(state), set())
        if state["Type"] == "Succeed":
            continue
        for rule in states[state["Next"]]["Choices"]:
            if rule["Next"] == INVALID_INPUT_STATE:
                continue
            target = states[rule["Next"]]
            if is_wait(target):
                target = states[target["Next"]]
            assert rule == {"Variable": "$.next", "StringEquals": step_of(target).value, "Next": rule["Next"]}
            targets.add(step_of(target))
    return targets_by_step


@pytest.mark.parametrize("name", WITH_DATABASE)
def test_the_state_machine_has_exactly_the_edges_of_the_route(name: str, definitions: Definitions) -> None:
    assert edges(definitions[name]) == {step: set(targets) for step, targets in EDGES.items()}


@pytest.mark.parametrize("name", WITHOUT_DATABASE)
def test_a_state_machine_without_a_database_lacks_only_the_database_steps_of_the_route(
    name: str, definitions: Definitions
) -> None:
    database_steps = {Step.DATABASE, Step.RECONNECT, Step.DATA_LOSS}
    expected_edges = {
        step: set(targets) - database_steps for step, targets in EDGES.items() if step not in database_steps
    }
    assert edges(definitions[name]) == expected_edges
    assert "atabase" not in json.dumps(definitions[name])


@pytest.mark.parametrize("name", WORKFLOWS)
def test_only_an_entrance_leads_to_the_explained_end_of_an_invalid_input(name: str, definitions: Definitions) -> None:
    states = definitions[name]["States"]
    tasks = {step_of(s): s for s in states.values() if s["Type"] == "Task" and not is_wait(s)}
    rules = {
        step: [rule for rule in states[task["Next"]]["Choices"] if rule["Next"] == INVALID_INPUT_STATE]
        for step, task in tasks.items()
        if states[task["Next"]]["Type"] == "Choice"
    }
    expected_rule = {"Variable": "$.next", "StringEquals": INVALID_INPUT, "Next": INVALID_INPUT_STATE}
    assert {step for step, found in rules.items() if found == [expected_rule]} == set(ENTRANCES)
    assert all(step in ENTRANCES for step, found in rules.items() if found)
    assert states[INVALID_INPUT_STATE] == {"Type": "Fail", "Error": "InvalidRequest", "CausePath": "$.summary"}
    assert INVALID_INPUT not in list(Step)


@pytest.mark.parametrize("name", WORKFLOWS)
def test_the_state_machine_has_the_entrances_of_the_route(name: str, definitions: Definitions) -> None:
    start = definitions[name]["States"][definitions[name]["StartAt"]]
    reached = {start["Default"], *(rule["Next"] for rule in start["Choices"])}
    assert {step_of(definitions[name]["States"][state]) for state in reached} == set(ENTRANCES)


@pytest.mark.parametrize(
    "execution_input",
    [
        {},
        {"Comment": "Insert your JSON here"},
        {"type": "service"},
        {"type": "emergency"},
        {"type": "emergency", "reason": "all is down"},
        {"type": 7},
        {"type": ["emergency"]},
        {"detail": "none"},
        {"detail": {"alarmName": "macro-ai-production-express-api-degraded"}},
        {"detail": {"alarmName": "macro-ai-production-express-api-outage"}},
        {"detail": {"alarmName": "macro-ai-production-express-api-outage-2"}},
        {"detail": {"alarmName": 3}},
        {"detail": {"eventName": "SERVICE_DEPLOYMENT_FAILED"}},
    ],
)
def test_the_state_machine_chooses_the_entrance_of_the_route(
    execution_input: dict[str, Any], definitions: Definitions
) -> None:
    definition = definitions[WORKFLOWS[0]]
    choice = definition["States"][definition["StartAt"]]
    reached = next((rule["Next"] for rule in choice["Choices"] if holds(rule, execution_input)), choice["Default"])
    assert step_of(definition["States"][reached]) is entrance(execution_input)


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_failure_of_every_step_after_admit_is_concluded(name: str, definitions: Definitions) -> None:
    states = definitions[name]["States"]
    tasks = {step_of(state): state for state in states.values() if state["Type"] == "Task" and not is_wait(state)}
    concluded = [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": "Conclude"}]
    between = set(tasks) - {*ENTRANCES, Step.CONCLUDE}
    assert between >= {Step.PLAN, Step.SERVICE, Step.VERIFY}
    assert (between >= {Step.DATABASE, Step.RECONNECT}) is (name in WITH_DATABASE)
    for step in between:
        assert tasks[step]["Catch"] == concluded
    for step in ENTRANCES:
        assert "Catch" not in tasks[step]
    assert "Catch" not in tasks[Step.CONCLUDE]


@pytest.mark.parametrize("name", [*WORKFLOWS, *PROMOTIONS, *WATCHES])
def test_invalid_input_and_refused_calls_are_never_retried(name: str, definitions: Definitions) -> None:
    """Step Functions takes the first retrier that matches, and Conclude's second retrier matches all errors."""
    for state in definitions[name]["States"].values():
        if state["Type"] == "Task":
            assert state["Retry"][0] == {"ErrorEquals": ["InvalidRequest", "CallRefused"], "MaxAttempts": 0}


@pytest.mark.parametrize("name", [*WORKFLOWS, *PROMOTIONS, *WATCHES])
def test_a_retry_names_existing_errors(name: str, definitions: Definitions) -> None:
    """Step Functions compares names: an error without a class of that name would never be retried, or always."""
    error_names = {
        name for name, member in vars(errors).items() if isinstance(member, type) and issubclass(member, Exception)
    }
    for state in definitions[name]["States"].values():
        named = {error for retry in state.get("Retry", ()) for error in retry["ErrorEquals"]}
        assert {error for error in named if "." not in error} <= error_names


@pytest.mark.parametrize("name", [*WORKFLOWS, *PROMOTIONS, *WATCHES])
def test_an_unknown_next_step_fails_the_execution_by_name(name: str, definitions: Definitions) -> None:
    states = definitions[name]["States"]
    choices = [state for name, state in states.items() if state["Type"] == "Choice" and name != CHOOSE_ENTRANCE]
    assert choices
    assert {states[choice["Default"]]["Type"] for choice in choices} == {"Fail"}


@pytest.mark.parametrize("name", [*WORKFLOWS, *PROMOTIONS, *WATCHES])
def test_a_wait_lasts_the_wait_seconds_of_the_function(name: str, definitions: Definitions) -> None:
    waits = [state for state in definitions[name]["States"].values() if state["Type"] == "Wait"]
    assert waits
    assert {wait["SecondsPath"] for wait in waits} == {"$.wait_seconds"}


@pytest.mark.parametrize("name", WITH_DATABASE)
def test_a_decision_or_the_time_ends_the_wait_for_an_approval_and_no_error_ends_the_rollback(
    name: str, definitions: Definitions
) -> None:
    states = definitions[name]["States"]
    wait = states["Wait for approve"]
    assert wait["TimeoutSecondsPath"] == "$.wait_seconds"
    assert wait["Parameters"]["Payload"]["token.$"] == "$$.Task.Token"
    assert wait["ResultPath"] is None
    assert [(catch["ErrorEquals"], catch["ResultPath"]) for catch in wait["Catch"]] == [
        (["States.Timeout"], None),
        (["States.ALL"], None),
    ]
    after_timeout, after_error = (states[catch["Next"]] for catch in wait["Catch"])
    assert step_of(after_timeout) is step_of(states[wait["Next"]]) is Step.APPROVE
    assert after_error["Type"] == "Wait", "an error that stays must not make a busy loop"
    assert step_of(states[after_error["Next"]]) is Step.APPROVE


@pytest.mark.parametrize("name", WITHOUT_DATABASE)
def test_without_a_possible_approval_a_timer_alone_ends_the_wait(name: str, definitions: Definitions) -> None:
    assert definitions[name]["States"]["Wait for approve"]["Type"] == "Wait"


def test_the_definitions_are_valid_states_language(definitions: Definitions, tmp_path: Path) -> None:
    validator = PROJECT / ".tools" / "node_modules" / ".bin" / "asl-validator"
    if not validator.exists():
        pytest.skip("asl-validator is not installed: make tools")
    assert sorted(definitions) == sorted([*WORKFLOWS, *PROMOTIONS, *WATCHES])
    paths: list[str] = []
    for name, definition in definitions.items():
        file = tmp_path / f"{name}.json"
        file.write_text(json.dumps(definition))
        paths += ["--json-path", str(file)]
    process = subprocess.run([str(validator), *paths], capture_output=True, text=True, check=False)
    assert process.returncode == 0, f"{process.stdout}{process.stderr}"


def compared_and_checked(rule: dict[str, Any]) -> tuple[set[str], set[str]]:
    """Return a rule's variables that are compared without `IsPresent`, and those that `IsPresent` checks."""
    if "And" not in rule:
        return ({rule["Variable"]}, set()) if "IsPresent" not in rule else (set(), {rule["Variable"]})
    bare: set[str] = set()
    present: set[str] = set()
    for part in rule["And"]:  # Step Functions evaluates the parts in this order
        compared, checked = compared_and_checked(part)
        bare |= compared - present
        present |= checked
    return bare, present


def fields_before(name: str, states: dict[str, Any]) -> set[str] | None:
    """Return the fields that every Task before a state returns; None: a state of another type leads there too."""
    predecessors = [state for state in states.values() if name in targets_of(state)]
    if not predecessors or any(state["Type"] not in {"Task", "Choice"} for state in predecessors):
        return None
    field_sets: list[set[str] | None] = []
    for state in predecessors:
        if state["Type"] == "Task" and state.get("ResultPath", "$") is None:  # its input goes on
            (state_name,) = [candidate for candidate, candidate_state in states.items() if candidate_state is state]
            field_sets.append(fields_before(state_name, states))
        elif state["Type"] == "Task":
            is_promotion = "PromoteFunction" in state["Parameters"]["FunctionName"]
            field_sets.append(set((PromotionCursor if is_promotion else Cursor).model_fields))
        else:
            (state_name,) = [candidate for candidate, candidate_state in states.items() if candidate_state is state]
            field_sets.append(fields_before(state_name, states))
    known_fields = [fields for fields in field_sets if fields is not None]
    return set.intersection(*known_fields) if len(known_fields) == len(field_sets) else None


def targets_of(state: dict[str, Any]) -> set[str]:
    unchanged = [catch["Next"] for catch in state.get("Catch", ()) if catch["ResultPath"] is None]
    choices = [rule["Next"] for rule in state.get("Choices", ())]
    return {state.get("Next"), state.get("Default"), *choices, *unchanged} - {None}


@pytest.mark.parametrize("name", [*WORKFLOWS, *PROMOTIONS, *WATCHES])
def test_no_choice_or_wait_uses_a_field_that_may_be_missing(name: str, definitions: Definitions) -> None:
    """AWS fails the execution with States.Runtime, which no Catch handles."""
    machine = definitions[name]
    states = machine["States"]
    compared = 0
    for key, state in states.items():
        bare = set().union(*(compared_and_checked(rule)[0] for rule in state.get("Choices", ())))
        bare |= {state[name] for name in ("SecondsPath", "TimeoutSecondsPath") if name in state}
        fields = fields_before(key, states) if key != machine["StartAt"] else None
        assert not bare or fields is not None, f"{key} looks at {bare}, and anything may lead there"
        assert {path.removeprefix("$.") for path in bare} <= (fields or set()), key
        compared += len(bare)
    assert compared > 1


def test_a_comparison_with_a_field_that_may_be_missing_is_detected() -> None:
    assert compared_and_checked({"Variable": "$.a", "StringEquals": "b", "Next": "C"}) == ({"$.a"}, set())
    present, compared = {"Variable": "$.a", "IsPresent": True}, {"Variable": "$.a", "StringEquals": "b"}
    assert compared_and_checked({"And": [present, compared]}) == (set(), {"$.a"})
    assert compared_and_checked({"And": [compared, present]})[0] == {"$.a"}
