"""Every method of a port is marked as a read or as an effect; `tests/faults` kills the process around effects."""

from typing import get_type_hints

import pytest
from faults.scenarios.crash import EFFECTS
from support.port_methods import PORTS, access_of, methods

from rollback.effects import Access, changes_state, reads
from rollback.ports import holders
from rollback.ports.all_ports import AllPorts

METHODS = [(port, name) for port, protocol in PORTS.items() for name in methods(protocol)]


@pytest.mark.parametrize(("port", "name"), METHODS)
def test_a_method_of_a_port_is_marked_as_a_read_or_as_an_effect(port: str, name: str) -> None:
    assert access_of(methods(PORTS[port])[name]) is not None, f"mark {port}.{name} with `reads` or `changes_state`"


def test_a_method_name_is_an_effect_in_every_port_or_in_no_port() -> None:
    # The fault injector knows a method by its name alone.
    reading = {name for port, name in METHODS if access_of(methods(PORTS[port])[name]) is Access.READ}
    assert reading & EFFECTS == set()


def test_a_marker_distinguishes_effects_from_reads() -> None:
    def method() -> None: ...

    assert access_of(method) is None
    assert access_of(reads(method)) is Access.READ
    assert access_of(changes_state(method)) is Access.CHANGE


def test_every_field_of_all_ports_has_a_holder() -> None:
    made_by_bootstrap = {"neon_of", "emergency_ports", "readiness_ports"}  # methods of the ports call them
    fields_with_holder = {
        name: get_type_hints(attribute.fget)["return"]
        for holder in vars(holders).values()
        if getattr(holder, "_is_protocol", False) and holder.__module__ == holders.__name__
        for name, attribute in vars(holder).items()
        if isinstance(attribute, property)
    }
    fields = get_type_hints(AllPorts)
    assert fields_with_holder == {name: fields[name] for name in fields.keys() - made_by_bootstrap}
