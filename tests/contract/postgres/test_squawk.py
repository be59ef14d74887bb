"""squawk, the second classifier of migrations, as it is installed."""

import hashlib
import json
import sysconfig
from pathlib import Path

import pytest

from rollback.domain.database.migration_impact import Impact, MigrationImpact, unknown
from rollback.errors import ExternalServiceError, InvalidRequest
from rollback_cli.migrations.impact.classify_sql import classify
from rollback_cli.migrations.impact.squawk import run_squawk
from rollback_cli.migrations.tools.drizzle import read_drizzle


@pytest.mark.parametrize(
    ("sql", "rule"),
    [
        ("ALTER TABLE users DROP COLUMN name", "ban-drop-column"),
        ("DROP TABLE users", "ban-drop-table"),
        ("ALTER TABLE users RENAME COLUMN a TO b", "renaming-column"),
        ("ALTER TABLE users RENAME TO people", "renaming-table"),
        ("ALTER TABLE users ALTER age TYPE bigint", "changing-column-type"),
        ("TRUNCATE users CASCADE", "ban-truncate-cascade"),
        ("DROP DATABASE app", "ban-drop-database"),
    ],
)
def test_each_breaking_rule_is_a_rule_of_squawk(sql: str, rule: str) -> None:
    result = run_squawk(f"SELECT 1;\n{sql};")
    assert (result.impact, result.reasons) == (Impact.BREAKING, (f"squawk, line 2: {rule}",))
    assert result.is_visible_in_structure == (rule != "ban-truncate-cascade")


@pytest.mark.parametrize(
    "sql",
    [
        "",
        "CREATE TABLE a (id serial PRIMARY KEY NOT NULL)",
        "ALTER TABLE users ADD COLUMN tier bigserial NOT NULL",
        "ALTER TABLE users ADD COLUMN tier int NOT NULL DEFAULT 1",
        "ALTER TABLE users ADD COLUMN id2 int GENERATED ALWAYS AS IDENTITY NOT NULL",
        "CREATE INDEX i ON users (name)",
        "ALTER TYPE mood ADD VALUE 'calm'",
    ],
)
def test_advice_of_squawk_about_locks_and_style_is_no_incompatibility(sql: str) -> None:
    assert run_squawk(sql).impact is Impact.NONE
    assert classify(sql).impact in (Impact.NONE, Impact.ADDITIVE)


@pytest.mark.parametrize("sql", ["TRUNCATE users", "UPDATE users SET a = 1", "DO $$ BEGIN DELETE FROM users; END $$"])
def test_silence_of_squawk_does_not_lower_the_impact(sql: str) -> None:
    assert run_squawk(sql).impact is Impact.NONE
    assert classify(sql).impact in (Impact.BREAKING, Impact.UNKNOWN)


def test_a_statement_that_squawk_can_not_parse_is_unknown() -> None:
    result = run_squawk("ALTER TABLE users ADD COLUMN (;")
    assert (result.impact, result.is_visible_in_structure) == (Impact.UNKNOWN, False)
    assert "syntax-error" in result.reasons[0]


def test_classification_without_squawk_fails_with_the_command_that_installs_squawk(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    with pytest.raises(ExternalServiceError, match="pip install squawk-cli"):
        run_squawk("SELECT 1")


def repository(folder: Path, **files: str) -> Path:
    (folder / "meta").mkdir()
    entries = [{"idx": i, "version": "7", "when": 100 - i, "tag": tag} for i, tag in enumerate(files) if "." not in tag]
    (folder / "meta" / "_journal.json").write_text(
        json.dumps({"version": "7", "dialect": "postgresql", "entries": entries})
    )
    for tag, text in files.items():
        (folder / f"{tag}.sql").write_text(text)
    return folder


def test_the_migrations_of_a_repository_are_read_oldest_first_with_their_impact(tmp_path: Path) -> None:
    adds, drops = "ALTER TABLE users ADD COLUMN a text;", "ALTER TABLE users DROP COLUMN a;"
    folder = repository(tmp_path, **{"0001_drops": drops, "0000_adds": adds, "0001_drops.down": adds})
    first, second = read_drizzle(folder)
    assert (first.tag, first.created_at, first.impact.impact, first.has_down) == (
        "0000_adds",
        99,
        Impact.ADDITIVE,
        False,
    )
    assert (second.tag, second.impact.impact, second.has_down) == ("0001_drops", Impact.BREAKING, True)
    assert second.hash == hashlib.sha256(drops.encode()).hexdigest()
    assert first.down_impact is None
    assert second.down_impact is not None
    assert second.down_impact.impact is Impact.ADDITIVE


def test_a_down_migration_is_classified_by_its_own_text(tmp_path: Path) -> None:
    adds, drops = "ALTER TABLE users ADD COLUMN a text;", "ALTER TABLE users DROP COLUMN a;"
    (added,) = read_drizzle(repository(tmp_path, **{"0000_adds": adds, "0000_adds.down": drops}))
    assert (added.impact.impact, added.down_impact and added.down_impact.impact) == (Impact.ADDITIVE, Impact.BREAKING)


def test_an_unreadable_down_migration_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    folder = repository(tmp_path, **{"0000_adds": "SELECT 1"})
    (folder / "0000_adds.down.sql").write_bytes(b"\xff")
    with pytest.raises(InvalidRequest, match=r"0000_adds\.down\.sql"):
        read_drizzle(folder)


def test_squawk_can_only_raise_the_impact(tmp_path: Path) -> None:
    folder = repository(tmp_path, **{"0000_wipes": "TRUNCATE users", "0001_adds": "CREATE TABLE a (id int)"})

    def doubtful(sql: str) -> MigrationImpact:
        return unknown("not today")

    impacts = {migration.tag: migration.impact.impact for migration in read_drizzle(folder, doubtful)}
    assert impacts == {"0000_wipes": Impact.BREAKING, "0001_adds": Impact.UNKNOWN}


def test_a_folder_without_drizzles_files_is_an_error_that_names_the_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"_journal\.json"):
        read_drizzle(tmp_path)
    repository(tmp_path, **{"0000_gone": "SELECT 1"})
    (tmp_path / "0000_gone.sql").unlink()
    with pytest.raises(InvalidRequest, match=r"0000_gone\.sql"):
        read_drizzle(tmp_path)
