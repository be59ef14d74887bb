"""The strategy `auto`: down-migrations if they lose no data, else a restore, with the reason."""

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
    fields: dict[str, Any] = {
        "project_id": "quiet-sea-1",
        "branch_id": "br-main",
        "api_key_secret_arn": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:neon",
        "strategy": "auto",
        "down_command": ("npm", "run", "down", "{tag}"),
    }
    return DatabaseSettings.model_validate({**fields, **changes})


def shipped_migrations(*downs: MigrationImpact | None, up: MigrationImpact = DROPS) -> tuple[ShippedMigration, ...]:
    """Build one migration for each tag, with a down file of this impact; None: the release ships no down file."""
    return tuple(
        ShippedMigration(
            tag=tag, created_at=number, hash=f"{number:064x}", impact=up, has_down=down is not None, down_impact=down
        )
        for number, (tag, down) in enumerate(zip(TAGS, downs, strict=True))
    )


def verdict(journal: JournalRelation = JournalRelation.AHEAD, since: tuple[str, ...] = TAGS) -> SchemaVerdict:
    return SchemaVerdict(compatibility=Compatibility.BREAKING, reason="it drops nick", journal=journal, since=since)


def test_down_files_that_lose_no_data_are_run_newest_first() -> None:
    choice = choose_strategy(verdict(), shipped_migrations(ADDITIVE, ADDITIVE), settings())
    assert (choice.strategy, choice.migrations) == (Strategy.DOWN_MIGRATIONS, ("0003_adds_team", "0002_drops_nick"))
    assert "lose nothing: 0003_adds_team, 0002_drops_nick" in choice.reason


@pytest.mark.parametrize(
    ("downs", "reason"),
    [
        ((ADDITIVE, None), "ships no down file for 0003_adds_team"),
        ((ADDITIVE, breaking("drop column team")), "the down file of 0003_adds_team may lose data: drop column team"),
        ((unknown("rows are changed"), ADDITIVE), "the down file of 0002_drops_nick may lose data: rows are changed"),
        ((ADDITIVE, NO_IMPACT), "the down file of 0003_adds_team changes nothing"),
    ],
)
def test_auto_restores_in_every_other_case_and_gives_the_reason(
    downs: tuple[MigrationImpact | None, MigrationImpact | None], reason: str
) -> None:
    choice = choose_strategy(verdict(), shipped_migrations(*downs), settings())
    assert (choice.strategy, choice.migrations) == (Strategy.RESTORE, ())
    assert reason in choice.reason


def test_a_down_file_without_a_recorded_impact_does_not_count_as_harmless() -> None:
    migrations = tuple(
        migration.model_copy(update={"down_impact": None}) for migration in shipped_migrations(ADDITIVE, ADDITIVE)
    )
    assert "was not recorded" in choose_strategy(verdict(), migrations, settings()).reason


@pytest.mark.parametrize("journal", [relation for relation in JournalRelation if relation is not JournalRelation.AHEAD])
def test_auto_restores_if_down_migrations_do_not_lead_to_the_target(journal: JournalRelation) -> None:
    choice = choose_strategy(verdict(journal), shipped_migrations(ADDITIVE, ADDITIVE), settings())
    assert choice.strategy is Strategy.RESTORE
    assert f"journal is {journal}" in choice.reason


def test_auto_restores_without_a_down_command() -> None:
    settings_without_command = settings(down_command=(), strategy="restore")
    assert choose_strategy(verdict(), shipped_migrations(ADDITIVE, ADDITIVE), settings_without_command).reason.endswith(
        "no down_command is set"
    )


def test_a_request_for_down_migrations_reverts_migrations_even_if_data_is_lost() -> None:
    downs = shipped_migrations(ADDITIVE, breaking("drop column team"))
    assert find_down_migrations(verdict(), downs, settings()) == tuple(reversed(TAGS))


impacts = st.sampled_from(list(Impact)).map(lambda impact: MigrationImpact(impact=impact, reasons=("so",)))


@given(st.tuples(st.none() | impacts, st.none() | impacts), impacts, st.sampled_from(list(JournalRelation)))
def test_auto_never_runs_a_down_file_that_may_lose_data(
    downs: tuple[MigrationImpact | None, ...], up: MigrationImpact, journal: JournalRelation
) -> None:
    choice = choose_strategy(verdict(journal), shipped_migrations(*downs, up=up), settings())
    if choice.strategy is Strategy.DOWN_MIGRATIONS:
        assert all(down is not None and down.impact in (Impact.NONE, Impact.ADDITIVE) for down in downs)
        assert choice.migrations == tuple(reversed(TAGS))
    else:
        assert choice.strategy is Strategy.RESTORE
