"""Exit codes: one for each outcome."""

import pytest
from simulations.service import start_simulation
from simulations.terminal import At
from support.builders import rollback

from rollback.domain.rollback import Outcome
from rollback.domain.settings.policy import Policy
from rollback_cli.shell.exit_codes import exit_code_of

CODES = {
    Outcome.SUCCEEDED: 0,
    Outcome.FAILED: 1,
    Outcome.SUPERSEDED: 1,
    Outcome.REFUSED: 3,
    Outcome.SUPPRESSED: 3,
    Outcome.PLANNED: 3,
    Outcome.REJECTED: 4,
    Outcome.ABORTED: 5,
}


@pytest.mark.parametrize("outcome", Outcome)
def test_each_outcome_has_its_exit_code(outcome: Outcome) -> None:
    assert exit_code_of(rollback(outcome=outcome)) == CODES[outcome]


def test_an_open_rollback_has_not_succeeded() -> None:
    assert exit_code_of(rollback(outcome=None)) == 1


def test_a_dry_run_that_plans_succeeds_and_a_plan_of_an_observing_environment_does_not(terminal: At) -> None:
    type_ = terminal(start_simulation())
    assert type_("start", "production", "--dry-run", "--direct") == 0
    observing = terminal(start_simulation(policy=Policy(mode="observe")))
    assert observing("start", "production", "--direct") == 3


def test_the_runbooks_words_start_a_rollback_and_a_success_exits_with_0(terminal: At) -> None:
    simulation = start_simulation()
    type_ = terminal(simulation)
    assert type_("production", "service", "--direct", "--reason", "it is bad") == 0
    assert "succeeded" in type_.said
    assert type_("production", "service", "--direct", "--target-version", "v1") == 3  # it runs already
    assert "refused" in type_.said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("start", "production", "servcie"), "did you mean 'service'?"),
        (("start", "production", "--service", "exprss-api"), "did you mean 'express-api'?"),
        (("start", "production", "--target-version", "v11"), "did you mean 'v1'"),
        (("start", "production", "full", "--type", "service"), "the type is given twice"),
        (("start", "production", "--direct", "--no-wait"), "leave --no-wait out"),
        (("start", "production", "--to", "yesterday", "--type", "database"), "to is"),
        (("strat", "production"), "did you mean 'start'?"),
        (("status",), "environment"),
        (("history", "production", "--limit", "x"), "--limit"),
    ],
)
def test_a_typo_is_two_lines_with_the_nearest_name_and_starts_nothing(
    terminal: At, words: tuple[str, ...], said: str
) -> None:
    simulation = start_simulation()
    type_ = terminal(simulation)
    assert type_(*words) == 2
    assert said in type_.said
    assert [line.partition(" ")[0] for line in type_.said.splitlines()] == ["error:", "next:"]
    assert not simulation.pages()
    assert type_("history", "production") == 0
    assert "manual" not in type_.said
