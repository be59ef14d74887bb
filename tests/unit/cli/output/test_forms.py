"""Forms of the reading verbs' output: in a terminal, in a pipe, as JSON and as YAML."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml
from simulations.reading import in_trouble, rolled_back, with_duplicates
from simulations.service import Simulation
from simulations.terminal import At
from support.builders import NOW, SERVICE, image
from syrupy.assertion import SnapshotAssertion

from rollback_cli.output.schemas import DOCUMENTS, schema_files
from rollback_cli.verbs.rollbacks import metrics

SCHEMAS = Path(__file__).parents[4] / "docs" / "schemas"
WIDTHS = {"terminal": 80, "wide terminal": 160}
FORMS = (*WIDTHS, "pipe", "json", "yaml")
NEWEST = "<id of the newest rollback>"
SCENES: dict[str, tuple[Callable[[], Simulation], tuple[str, ...]]] = {
    "status": (rolled_back, ("status",)),
    "status of a service in trouble": (in_trouble, ("status",)),
    "versions": (rolled_back, ("versions",)),
    "history": (rolled_back, ("history",)),
    "history with duplicates": (lambda: with_duplicates(2), ("history",)),
    "show": (rolled_back, ("show", NEWEST)),
    "verify": (rolled_back, ("verify",)),
    "check-deploy": (rolled_back, ("check-deploy", "--image", image("v2"))),
    "report": (rolled_back, ("report", NEWEST)),
    "metrics": (rolled_back, ("metrics",)),
}


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    class FixedTime(datetime):
        @classmethod
        def now(cls, tz: object = None) -> "FixedTime":
            later = NOW + timedelta(hours=1)
            return cls.fromtimestamp(later.timestamp(), later.tzinfo)

    monkeypatch.setattr(metrics, "datetime", FixedTime)


def typed(scene: str, simulation: Simulation) -> tuple[str, ...]:
    verb, *options = SCENES[scene][1]
    ids = [rollback.id for rollback in simulation.ledger.history(SERVICE)]
    return verb, "production", *(ids[0] if option == NEWEST else option for option in options)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("scene", SCENES)
def test_the_output_of_a_verb_stays_as_it_is(scene: str, form: str, terminal: At, snapshot: SnapshotAssertion) -> None:
    simulation = SCENES[scene][0]()
    type_ = terminal(simulation)
    words = typed(scene, simulation)
    if form in WIDTHS:
        type_.in_terminal(*words, columns=WIDTHS[form])
    else:
        type_(*words, *(("--output", form) if form != "pipe" else ()))
    assert type_.output == snapshot


# Schemas


def test_the_schemas_in_the_documentation_are_those_of_the_code() -> None:
    written = {path.name: path.read_text() for path in SCHEMAS.glob("cli-*.json")}
    assert written == dict(schema_files()), "run `make schemas`"


@pytest.mark.parametrize("scene", SCENES)
def test_json_and_yaml_hold_the_same_document_of_the_schema(scene: str, terminal: At) -> None:
    simulation = SCENES[scene][0]()
    words = typed(scene, simulation)
    type_ = terminal(simulation)
    type_(*words, "--output", "json")
    as_json = json.loads(type_.output)
    type_(*words, "--output", "yaml")

    assert yaml.safe_load(type_.output) == as_json
    assert as_json["schema_version"] == 1
    schema = json.loads((SCHEMAS / f"cli-{words[0]}-v1.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker()).validate(as_json)


def test_every_schema_belongs_to_a_scene() -> None:
    of_another_test = {"doctor"}  # tests/unit/cli/doctor/test_doctor_verb.py
    assert {words[0] for _, words in SCENES.values()} == set(DOCUMENTS) - of_another_test


@pytest.mark.parametrize("verb", DOCUMENTS)
def test_another_form_is_refused_with_the_forms_there_are(verb: str, terminal: At) -> None:
    type_ = terminal(Simulation())
    assert type_(verb, "production", "--output", "xml") == 2
    assert "'table', 'json', 'yaml'" in " ".join(type_.said.replace("│", " ").split())
