"""Stored items of the previous, this and the next version: read whole, or named as unreadable."""

import json
from pathlib import Path
from typing import Any

import pytest

from rollback.domain.database.branch_observation import Observation
from rollback.domain.database.release_schema import ReleaseSchema
from rollback.domain.database.restore_points import RecordedPoint
from rollback.domain.lease import Lease
from rollback.domain.ledger.index import build_entries
from rollback.domain.operator import OperatorAction, Pause
from rollback.domain.releases.release import Release
from rollback.domain.rollback import Rollback
from rollback.domain.standing_plan import Bake, StandingPlan
from rollback.domain.stored import READABLE, SCHEMA_VERSION, read_stored
from rollback.errors import UnreadableItem

GOLDEN = Path(__file__).parent.parent / "golden"
KINDS = {
    "action": OperatorAction,
    "bake": Bake,
    "lease": Lease,
    "observation": Observation,
    "pause": Pause,
    "release": Release,
    "restore_point": RecordedPoint,
    "schema": ReleaseSchema,
    "standing_plan": StandingPlan,
}
ITEMS = [path for version in READABLE for path in sorted((GOLDEN / f"v{version}").glob("*.json"))]


def kind_of(path: Path) -> Any:
    return Rollback if path.stem.startswith("rollback") else KINDS[path.stem]


@pytest.mark.parametrize("path", ITEMS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_golden_item_of_a_readable_version_loses_no_field(path: Path) -> None:
    item = read_stored(kind_of(path), path.stem, path.read_text())
    stored_fields = json.loads(item.model_dump_json())
    missing = [name for name in json.loads(path.read_text()) if name not in stored_fields]
    assert missing == []


def test_golden_items_exist_of_this_version_and_of_the_previous_one() -> None:
    for version in (SCHEMA_VERSION - 1, SCHEMA_VERSION):
        assert {path.stem for path in (GOLDEN / f"v{version}").glob("*.json")} >= set(KINDS)


@pytest.mark.parametrize("name", ["rollback_open_fenced", "rollback_left_to_operator", "rollback_succeeded"])
def test_a_document_of_the_next_version_keeps_fields_that_this_version_does_not_know(name: str) -> None:
    raw = json.loads((GOLDEN / f"v{SCHEMA_VERSION}" / f"{name}.json").read_text())
    raw |= {"schema_version": SCHEMA_VERSION + 1, "added_in_the_next_version": {"x": [1]}}
    raw["settings"]["policy"]["new_minutes"] = 5
    document = read_stored(Rollback, name, json.dumps(raw))
    assert document.settings is not None
    stored_fields = json.loads(document.evolve(reason="saved by this version").model_dump_json())
    assert stored_fields["added_in_the_next_version"] == {"x": [1]}
    assert stored_fields["schema_version"] == SCHEMA_VERSION + 1


def test_the_obligations_in_a_document_of_the_previous_version_are_found() -> None:
    raw = (GOLDEN / f"v{SCHEMA_VERSION - 1}" / "rollback_left_to_operator.json").read_text()
    entries = [
        key
        for key, entry in build_entries(read_stored(Rollback, "x", raw)).items()
        if entry and key[0] == "OBLIGATIONS"
    ]
    assert {sort_key.split("#")[0] for _, sort_key in entries} == {"express-api", "worker"}


@pytest.mark.parametrize(
    "change",
    [
        {"schema_version": SCHEMA_VERSION + 2},
        {"outcome": "rejected_by_bot"},
        {"id": None},
        {"created_at": "2026-03-01T02:00:00"},
        {"obligations": [{"kind": "dns_record", "before": {}}]},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_error_about_an_unreadable_item_names_the_field_and_not_its_value(change: dict[str, Any]) -> None:
    raw = json.loads((GOLDEN / f"v{SCHEMA_VERSION}" / "rollback_succeeded.json").read_text()) | change
    with pytest.raises(UnreadableItem) as caught:
        read_stored(Rollback, "SERVICE#x / ROLLBACK#y", json.dumps(raw))
    assert caught.value.key == "SERVICE#x / ROLLBACK#y"
    assert next(iter(change)) in caught.value.why.replace("schema version", "schema_version")
    assert "rejected_by_bot" not in str(caught.value)


@pytest.mark.parametrize("text", [None, "", "{not json", "[" * 100_000, "5", "[]", '"x"'])
def test_a_text_that_is_not_an_item_is_unreadable(text: str | None) -> None:
    with pytest.raises(UnreadableItem):
        read_stored(Rollback, "a / b", text)
