"""Words of the command line before the parser takes them."""

import pytest

from rollback_cli.shell.words import arrange


@pytest.mark.parametrize(
    ("typed", "parsed"),
    [
        ("production service", "start production service"),
        ("feature emergency --dry-run", "start feature emergency --dry-run"),
        ("production", "start production"),
        ("qa full", "start qa full"),  # no usual name, and yet no verb, before a type
        ("qa", "qa"),
        ("strat production", "strat production"),
        ("status production", "status production"),
        ("status production --quiet", "--quiet status production"),
        ("production service --debug --quiet", "--debug --quiet start production service"),
        ("pause production --reason --quiet", "pause production --reason --quiet"),
        ("status production --stack Shop", "--stack Shop status production"),
        ("production service --stack=Shop -q", "--stack=Shop -q start production service"),
        ("pause production --reason --stack", "pause production --reason --stack"),
        ("status production --stack", "--stack status production"),
        ("show production -- --quiet", "show production -- --quiet"),
        ("--version", "--version"),
        ("", "--help"),
    ],
)
def test_words_are_put_into_the_order_of_the_parser(typed: str, parsed: str) -> None:
    assert arrange(typed.split()) == parsed.split()


def test_an_environment_that_was_seen_stands_for_start() -> None:
    assert arrange(["qa", "--dry-run"], ("qa",)) == ["start", "qa", "--dry-run"]


def test_a_verb_wins_over_an_environment_of_its_name() -> None:
    assert arrange(["demo"], ("demo",)) == ["demo"]
