"""The strategy `auto`: down-migrations if they lose nothing, else a restore, with the reason."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollback.domain.database.migration_impact import ADDITIVE, NO_IMPACT, Impact, MigrationImpact, breaking, unknown
from rollback.domain.database.release_schema import ShippedMigration
from rollback.domain.database.schema_verdict import Compatibility, JournalRelation, SchemaVerdict
from rollback.domain.database.strategy_choice import choose_strategy, find_down_migrations
from rollback.domain.settings.database import DatabaseSettings, Strategy

TAGS = ("0002_drops_nick", "0003_adds_team")
DROPS = breaking("drop column nick")


def settings(**changes: Any) -> DatabaseSettings:
    given: dict[str, Any] = {
        "project_id": "quiet-sea-1",
        "branch_id": "br-main",
        "api_key_secret_arn": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:neon",
        "strategy": "auto",
        "down_command": ("npm", "run", "down", "{tag}"),
    }
    return DatabaseSettings.model_validate({**given, **changes})


def shipped(*downs: MigrationImpact | None, up: MigrationImpact = DROPS) -> tuple[ShippedMigration, ...]:
    """One migration for each tag, with a down file of that class; None: it ships none."""
    return tuple(
        ShippedMigration(
            tag=tag, created_at=number, hash=f"{number:064x}", impact=up, has_down=down is not None, down_impact=down
        )
        for number, (tag, down) in enumerate(zip(TAGS, downs, strict=True))
    )


def verdict(journal: JournalRelation = JournalRelation.AHEAD, since: tuple[str, ...] = TAGS) -> SchemaVerdict:
    return SchemaVerdict(compatibility=Compatibility.BREAKING, reason="it drops nick", journal=journal, since=since)


def test_down_files_that_lose_nothing_are_run_newest_first() -> None:
    chosen = choose_strategy(verdict(), shipped(ADDITIVE, ADDITIVE), settings())
    assert (chosen.strategy, chosen.migrations) == (Strategy.DOWN_MIGRATIONS, ("0003_adds_team", "0002_drops_nick"))
    assert "lose nothing: 0003_adds_team, 0002_drops_nick" in chosen.reason


@pytest.mark.parametrize(
    ("downs", "said"),
    [
        ((ADDITIVE, None), "ships no down file for 0003_adds_team"),
        ((ADDITIVE, breaking("drop column team")), "the down file of 0003_adds_team may lose data: drop column team"),
        ((unknown("rows are changed"), ADDITIVE), "the down file of 0002_drops_nick may lose data: rows are changed"),
        ((ADDITIVE, NO_IMPACT), "the down file of 0003_adds_team changes nothing"),
    ],
)
def test_auto_restores_in_every_other_case_and_says_why(
    downs: tuple[MigrationImpact | None, MigrationImpact | None], said: str
) -> None:
    chosen = choose_strategy(verdict(), shipped(*downs), settings())
    assert (chosen.strategy, chosen.migrations) == (Strategy.RESTORE, ())
    assert said in chosen.reason


def test_a_down_file_without_a_class_is_not_taken_for_harmless() -> None:
    older = tuple(one.model_copy(update={"down_impact": None}) for one in shipped(ADDITIVE, ADDITIVE))
    assert "was not recorded" in choose_strategy(verdict(), older, settings()).reason


@pytest.mark.parametrize("journal", [one for one in JournalRelation if one is not JournalRelation.AHEAD])
def test_auto_restores_where_stepping_down_does_not_lead_to_the_target(journal: JournalRelation) -> None:
    chosen = choose_strategy(verdict(journal), shipped(ADDITIVE, ADDITIVE), settings())
    assert chosen.strategy is Strategy.RESTORE
    assert f"journal is {journal}" in chosen.reason


def test_without_a_down_command_auto_restores() -> None:
    without = settings(down_command=(), strategy="restore")
    assert choose_strategy(verdict(), shipped(ADDITIVE, ADDITIVE), without).reason.endswith("no down_command is set")


def test_a_request_for_down_migrations_steps_down_even_if_that_loses_data() -> None:
    downs = shipped(ADDITIVE, breaking("drop column team"))
    assert find_down_migrations(verdict(), downs, settings()) == tuple(reversed(TAGS))


impacts = st.sampled_from(list(Impact)).map(lambda impact: MigrationImpact(impact=impact, reasons=("so",)))


@given(st.tuples(st.none() | impacts, st.none() | impacts), impacts, st.sampled_from(list(JournalRelation)))
def test_auto_never_runs_a_down_file_that_may_lose_data(
    downs: tuple[MigrationImpact | None, ...], up: MigrationImpact, journal: JournalRelation
) -> None:
    chosen = choose_strategy(verdict(journal), shipped(*downs, up=up), settings())
    if chosen.strategy is Strategy.DOWN_MIGRATIONS:
        assert all(one is not None and one.impact in (Impact.NONE, Impact.ADDITIVE) for one in downs)
        assert chosen.migrations == tuple(reversed(TAGS))
    else:
        assert chosen.strategy is Strategy.RESTORE
