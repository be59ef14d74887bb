"""A wrong setting is one line with its full path, its value and what is allowed; never a traceback."""

import contextlib
import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.wrong_settings import CONTEXT, WRONG, Context, P, production

from stacks.environment import Configuration, InvalidSettings


def refuse(context: Context) -> list[str]:
    """Return the lines of the refusal, without the first, which says that settings are not valid."""
    with pytest.raises(InvalidSettings) as error:
        Configuration.read(context)
    return [line.strip() for line in str(error.value).splitlines()[1:]]


@pytest.mark.parametrize(("context", "path", "allowed"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_setting_is_refused_with_its_path_and_what_is_allowed(
    context: Context, path: str, allowed: str
) -> None:
    lines = refuse(context)
    assert any(line.startswith(path) and allowed in line for line in lines), lines
    assert all(line.startswith("environments.") for line in lines)


def test_a_problem_is_not_told_twice() -> None:
    for context, path, _ in WRONG.values():
        assert len([line for line in refuse(context) if line.startswith(path)]) == 1


@pytest.mark.parametrize(
    ("key", "meant"),
    [("enviroments", "environments"), ("rollback:override", "rollback:overrides"), ("aplication", "application")],
)
def test_a_misspelt_key_of_the_context_is_named_with_the_right_key(key: str, meant: str) -> None:
    (line,) = refuse({**CONTEXT, key: {}})
    assert line.startswith(f"context '{key}' is not a setting; did you mean '{meant}'?")


@pytest.mark.parametrize("key", ["@aws-cdk/core:newStyleStackSynthesis", "vpc-provider:account=1", "team", "stage"])
def test_keys_of_other_tools_are_left_alone(key: str) -> None:
    assert Configuration.read({**CONTEXT, key: True}).environments


def test_alarms_are_compared_with_the_window_by_the_clock_of_the_cloud() -> None:
    short_window = production({"policy": {"correlation_window_minutes": 0.25}})
    assert any("correlation_window_minutes" in line for line in refuse(short_window))
    assert Configuration.read({**short_window, "rollback:clock_scale": 20}).environments
    assert Configuration.read({**short_window, "rollback:clock_scale": "20"}).environments  # from the command line


@pytest.mark.parametrize("scale", [0, -1, "fast", None, [20], "inf", float("nan")])
def test_a_clock_scale_that_is_no_positive_number_is_refused(scale: Any) -> None:
    with pytest.raises(InvalidSettings, match=r"context .rollback:clock_scale. is .*; allowed is a number above 0"):
        Configuration.read({**CONTEXT, "rollback:clock_scale": scale})


def every_path(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    if isinstance(value, dict):
        return [path, *(inner for key, item in value.items() for inner in every_path(item, (*path, key)))]
    if isinstance(value, list):
        return [path, *(inner for n, item in enumerate(value) for inner in every_path(item, (*path, n)))]
    return [path]


def replace_at(document: Any, path: tuple[str | int, ...], value: Any) -> Any:
    if not path:
        return value
    changed = copy.copy(document)
    changed[path[0]] = replace_at(document[path[0]], path[1:], value)
    return changed


# The whole model with its defaults, so that every setting is replaced in some example.
WHOLE = json.loads(Configuration.read(CONTEXT).environments["production"].model_dump_json())
PATHS = [path for path in every_path(WHOLE) if path]
WRONG_VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**12), 10**12), st.floats(), st.text(max_size=20),
    st.lists(st.integers(), max_size=2), st.dictionaries(st.text(max_size=8), st.integers(), max_size=2),
)  # fmt: skip


@given(path=st.sampled_from(PATHS), value=WRONG_VALUES)
def test_any_value_anywhere_is_accepted_or_refused_by_path(path: tuple[str | int, ...], value: Any) -> None:
    context = {"environments": {"production": replace_at(WHOLE, path, value)}}
    try:
        Configuration.read(context)
    except InvalidSettings as error:
        lines = str(error).splitlines()
        assert len(lines) >= 2
        assert all(line.strip().startswith((P, f"context {P}")) for line in lines[1:]), lines


@given(environments=st.recursive(WRONG_VALUES, lambda inner: st.dictionaries(st.text(max_size=5), inner, max_size=2)))
def test_any_environments_are_accepted_or_refused(environments: Any) -> None:
    with contextlib.suppress(InvalidSettings):
        Configuration.read({"environments": environments})
