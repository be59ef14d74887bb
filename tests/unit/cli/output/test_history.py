"""`rollback history`: duplicates are hidden from a person only, and every page leads to the next."""

import json

import pytest
from simulations.reading import UNREADABLE_ID, with_duplicates
from simulations.service import PROMOTED, Simulation
from simulations.terminal import At
from support.builders import SERVICE

from rollback.domain.rollback import Outcome


def test_only_a_second_start_by_the_same_event_is_a_duplicate() -> None:
    simulation = with_duplicates(2)
    assert [rollback.is_duplicate for rollback in simulation.ledger.history(SERVICE)] == [True, True, False]


def test_a_suppressed_rollback_of_another_event_is_no_duplicate() -> None:
    simulation = Simulation()
    simulation.ship("v1", PROMOTED, hours_ago=48)
    simulation.ship("v2")
    simulation.admit()
    simulation.clock.pass_time(seconds=30)
    other = simulation.run_alarm_rollback()
    assert (other.outcome, other.is_duplicate) == (Outcome.SUPPRESSED, False)


@pytest.mark.parametrize(("count", "text"), [(1, "1 suppressed duplicate of"), (3, "3 suppressed duplicates of")])
def test_a_table_says_how_many_duplicates_it_hides(count: int, text: str, terminal: At) -> None:
    type_ = terminal(with_duplicates(count))
    assert type_.in_terminal("history", "production") == 0
    assert text in type_.output
    assert "duplicate: event" not in type_.output


def test_records_and_json_have_the_duplicates(terminal: At) -> None:
    type_ = terminal(with_duplicates(3))
    type_("history", "production")
    assert type_.output.count("\tyes\tduplicate: event") == 3
    type_("history", "production", "--output", "json")
    (service,) = json.loads(type_.output)["services"]
    assert [rollback["is_duplicate"] for rollback in service["rollbacks"]] == [True, True, True, False, None]


def test_a_page_of_duplicates_only_is_not_called_empty(terminal: At) -> None:
    type_ = terminal(with_duplicates(2))
    assert type_.in_terminal("history", "production", "--limit", "2") == 0
    assert "2 suppressed duplicates" in type_.output
    assert "no rollbacks" not in type_.output
    assert "older rollbacks: rollback history production --before" in type_.output


def test_an_empty_history_is_said_to_be_empty(terminal: At) -> None:
    type_ = terminal(Simulation())
    assert type_.in_terminal("history", "production") == 0
    assert type_.output == "no rollbacks\n"
    assert type_.in_terminal("history", "production", "--drills") == 0
    assert type_.output == "no drills\n"
    assert type_("history", "production") == 0
    assert type_.output.count("\n") == 1  # the header


def test_the_pages_together_have_every_record_once(terminal: At) -> None:
    type_ = terminal(with_duplicates(3))
    ids: list[str] = []
    before: tuple[str, ...] = ()
    while True:
        type_("history", "production", "--limit", "2", *before, "--output", "json")
        (page,) = json.loads(type_.output)["services"]
        ids += [rollback["id"] for rollback in page["rollbacks"]]
        if page["next_before"] is None:
            break
        before = ("--before", page["next_before"])
    assert len(ids) == len(set(ids)) == 5
    assert ids[-1] == UNREADABLE_ID
