"""The tables of the construct library's page are the docstrings of its properties."""

import inspect
import re

import pytest
from documentation.pages import ROOT

from rollback_constructs.guard import RollbackGuard
from rollback_constructs.guarded_service import RollbackService, ServiceProps
from rollback_constructs.settings.environment import Environment
from rollback_constructs.settings.service import Existing, Service

PAGE = ROOT / "docs" / "construct-library.md"
NOT_PROPERTIES = {"self", "scope", "id_", "service_props"}
# Settings that the guard knows itself, or that only this product's own stack of a service uses.
NOT_GIVEN = {"account", "region", "availability_zones", "services"}
OF_ATTRIBUTES = {"cluster", "ecs_service"}


def described(docstring: str, section: str) -> dict[str, str]:
    """Map each name in a section of a docstring to its description."""
    body = inspect.cleandoc(docstring).partition(f"{section}:\n")[2].partition("\n\n")[0]
    entries = re.split(r"\n(?= {4}\S)", f"\n{body}")[1:]
    pairs = (re.sub(r"\s+", " ", entry).strip().partition(": ") for entry in entries)
    return {name: text for name, _, text in pairs}


def table(heading: str) -> dict[str, str]:
    """Map the first column of the table below a heading to the second."""
    section = PAGE.read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", section, re.MULTILINE)
    return dict(rows)


def rows(described_properties: dict[str, str]) -> str:
    """Return the rows as the page must have them, for a copy from a failed test."""
    return "\n".join(f"| `{name}` | {text} |" for name, text in described_properties.items())


def guard_properties() -> dict[str, str]:
    documented = described(RollbackGuard.__init__.__doc__ or "", "Args")
    return {name: text for name, text in documented.items() if name not in NOT_PROPERTIES and name[0] != "*"}


@pytest.mark.parametrize(
    ("heading", "properties"),
    [
        ("Properties of the guard", guard_properties()),
        ("Properties of a service", described(ServiceProps.__doc__ or "", "Attributes")),
    ],
)
def test_the_table_has_the_docstrings(heading: str, properties: dict[str, str]) -> None:
    assert properties
    assert table(heading) == properties, f"{PAGE.name} needs these rows:\n{rows(properties)}"


def test_every_property_has_a_description_and_its_default() -> None:
    parameters = inspect.signature(RollbackGuard.__init__).parameters
    assert set(guard_properties()) == parameters.keys() - NOT_PROPERTIES
    services = described(ServiceProps.__doc__ or "", "Attributes")
    assert set(services) == set(ServiceProps.__annotations__)
    optional = {name for name, one in parameters.items() if one.default is not inspect.Parameter.empty}
    undescribed = [name for name, text in {**guard_properties(), **services}.items() if "Default:" not in text]
    assert sorted(undescribed) == ["application", "service"]
    assert not optional & set(undescribed)


def test_every_setting_is_a_property() -> None:
    settings = Environment.model_fields.keys() - NOT_GIVEN
    assert settings <= set(guard_properties()), "a new setting of environments needs a property of RollbackGuard"
    as_props = {"task_role_arns": "task_roles", "execution_role_arns": "execution_roles"}
    of_service = Service.model_fields.keys() | Existing.model_fields.keys()
    expected = {as_props.get(name, name) for name in of_service - {"existing", "workload", "unwatched"} - OF_ATTRIBUTES}
    assert expected == set(ServiceProps.__annotations__), "settings of services are properties of services"
    assert inspect.signature(RollbackService.from_attributes).parameters.keys() >= OF_ATTRIBUTES
