"""Our state machines on two interpreters without common code, compared state by state."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import pytest
from e2e.conftest import cloud_process
from referee.emulator import Emulator
from referee.executions import EXECUTIONS
from referee.interpreter import ExecutionOutcome, Interpreter

# Known differences, and which interpreter follows the Amazon States Language and the Step Functions guide.
_WAIT = (
    "ours is right: SecondsPath must be a non-negative integer (Amazon States Language, Wait State), and any other "
    "value is States.Runtime; MiniStack doesn't wait"
)
KNOWN = {
    "no wait": _WAIT,
    "a wait of half a second": _WAIT,
    "a wait below zero": _WAIT,
    "a wait that is a text": _WAIT,
    "a wait that is null": _WAIT,
}
# Both take Default where AWS ends with States.Runtime ("Choice": a missing Variable fails the execution).
# Ours must be corrected. Until then the two agree, and both are wrong.
BOTH_WRONG = {
    "no next": "a comparison with a missing field",
    "an answer of null": "a comparison with a missing field",
}
FAILED = {("FAILED", "UnknownStep"), ("FAILED", "States.Runtime")}
_WAIT_SCALE = 0.005  # MiniStack's retries ignore MaxDelaySeconds
Played = dict[str, dict[str, ExecutionOutcome]]


@pytest.fixture(scope="module")
def played(work: Path) -> Iterator[Played]:
    """Outcomes of both interpreters, `ours` and `ministack`, which play side by side."""
    scripts = work / "scripts"
    scripts.mkdir()
    theirs = Emulator(work / "interpreter", iam=False, wait_scale=_WAIT_SCALE)
    try:
        with cloud_process() as variables, ThreadPoolExecutor(2) as pool:
            theirs.wait_until_up()
            clouds = {"ours": variables, "ministack": theirs.environment()}
            interpreters = [Interpreter(name, environment, scripts) for name, environment in clouds.items()]
            outcomes = pool.map(lambda interpreter: interpreter.play(EXECUTIONS), interpreters)
            yield dict(zip(clouds, outcomes, strict=True))
    finally:
        theirs.end()


def test_at_least_48_executions_are_compared() -> None:
    assert len(EXECUTIONS) >= 48


def test_both_interpreters_enter_the_same_states_but_for_known_differences(played: Played) -> None:
    different = {
        title: _difference(played["ours"][title], played["ministack"][title])
        for title in EXECUTIONS
        if played["ours"][title] != played["ministack"][title]
    }
    unexpected = {title: text for title, text in different.items() if title not in {**KNOWN, **BOTH_WRONG}}
    assert not unexpected, "\n\n".join(f"{title}\n{text}" for title, text in unexpected.items())
    assert not set(KNOWN) - set(different), "these agree by now: remove them from KNOWN"


def test_a_choice_on_a_missing_field_fails_on_both_interpreters(played: Played) -> None:
    """The execution ends with `UnknownStep` by Default, or with `States.Runtime` as on AWS."""
    for title in BOTH_WRONG:
        outcomes = [played[cloud][title] for cloud in ("ours", "ministack")]
        assert all((o.status, o.error) in FAILED for o in outcomes), outcomes


def _difference(own: ExecutionOutcome, other: ExecutionOutcome) -> str:
    own_fields, other_fields = asdict(own), asdict(other)
    lines = [
        f"  {n}\n    ours:      {own_fields[n]}\n    ministack: {other_fields[n]}"
        for n in own_fields
        if own_fields[n] != other_fields[n]
    ]
    return "\n".join(lines)
