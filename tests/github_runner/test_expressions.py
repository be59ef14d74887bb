"""Expressions of GitHub Actions, evaluated as GitHub's documentation describes them."""

from typing import Any

import pytest
from github_runner.expressions import ExpressionError, condition, evaluate, interpolate

CONTEXTS: dict[str, Any] = {
    "inputs": {"environment": "production", "service": "", "dry-run": True, "count": 2},
    "steps": {"verify": {"outputs": {"rollback-id": "a-1"}, "outcome": "failure"}},
    "vars": {},
    "job": {"status": "success"},
}


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("inputs.environment", "production"),
        ("inputs.dry-run", True),
        ("steps.verify.outputs.rollback-id", "a-1"),
        ("steps.checkpoint.outcome", None),
        ("vars.DRILL_ENVIRONMENT", None),
        ("inputs.service || 'all'", "all"),
        ("inputs.environment || 'all'", "production"),
        ("inputs.service && 'set' || 'empty'", "empty"),
        ("inputs.dry-run && ' (dry run)' || ''", " (dry run)"),
        ("inputs.service != '' || vars.SERVICE != ''", False),
        ("inputs.environment == 'PRODUCTION'", True),
        ("inputs.count == '2'", True),
        ("null == ''", True),
        ("!inputs.service", True),
        ("(false || true) && 1", 1),
        ("contains('dependabot[bot]', '[')", True),
        ("contains(inputs.environment, '[') && 'a' || inputs.environment", "production"),
        ("'it''s'", "it's"),
        ("success()", True),
        ("failure()", False),
        ("always() && steps.verify.outcome != 'skipped'", True),
    ],
)
def test_an_expression_has_githubs_value(source: str, value: object) -> None:
    assert evaluate(source, CONTEXTS) == value


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("hashFiles('a')", "calls hashFiles"),
        ("secrets.TOKEN", "'secrets', which is not available"),
        ("inputs.a == ", "ends too early"),
        ("inputs.a inputs.b", "goes on after its end"),
        ("(inputs.a", r"lacks '\)'"),
        ("inputs['a']", "does not read"),
        ("contains(inputs, 'a')", "calls contains"),
    ],
)
def test_an_expression_beyond_the_runner_is_an_error(source: str, problem: str) -> None:
    with pytest.raises(ExpressionError, match=problem):
        evaluate(source, CONTEXTS)


def test_a_text_holds_values_as_github_writes_them() -> None:
    assert interpolate("${{ inputs.environment }}-approval", CONTEXTS) == "production-approval"
    assert interpolate("dry: ${{ inputs.dry-run }}, ${{ vars.NONE }}.", CONTEXTS) == "dry: true, ."
    assert interpolate("${{ inputs.dry-run }}", CONTEXTS) is True
    with pytest.raises(ExpressionError, match="an object"):
        interpolate("all: ${{ inputs }}", CONTEXTS)


@pytest.mark.parametrize("status", ["success", "failure"])
def test_a_condition_without_a_status_function_demands_success(status: str) -> None:
    contexts = {**CONTEXTS, "job": {"status": status}}
    assert condition(None, contexts) is (status == "success")
    assert condition("inputs.environment != ''", contexts) is (status == "success")
    assert condition("${{ always() }}", contexts) is True
    assert condition("failure()", contexts) is (status == "failure")
    assert condition(False, contexts) is False
