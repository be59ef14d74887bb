"""No fake is kinder than the port says: each has the port's methods, and each argument decides something."""

import ast
import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import examples_aws as aws
import examples_database as database
import examples_ledger as kept
import pytest
from example_calls import Example, is_indifferent_to, record_call
from port_methods import PORTS, methods, parameters

EXAMPLES = aws.EXAMPLES | database.EXAMPLES | kept.EXAMPLES

# Port → fakes of it, each as its examples find it.
FAKES: dict[str, tuple[Callable[[], Any], ...]] = {
    "Clock": (aws.clock,),
    "Services": (aws.services, aws.writers),
    "Tasks": (aws.tasks,),
    "Targets": (aws.targets,),
    "Scaling": (aws.scaling, aws.writers_scaling),
    "Stacks": (aws.stacks,),
    "Secrets": (aws.secrets,),
    "References": (aws.references,),
    "Images": (aws.images,),
    "Alarms": (aws.alarms,),
    "Http": (aws.http,),
    "Notifications": (aws.notifications,),
    "Metrics": (aws.metrics,),
    "Workflow": (aws.workflow,),
    "Databases": (database.neon,),
    "Sql": (database.sql,),
    "Documents": (kept.ledger,),
    "Index": (kept.ledger,),
    "Pages": (kept.ledger,),
    "Leases": (kept.ledger,),
    "Releases": (kept.ledger,),
    "Branches": (kept.ledger,),
    "Operators": (kept.ledger,),
    "CausedDeployments": (kept.ledger,),
    "Ledger": (),  # the sum of those above
}

# `fake.method(argument)` → why the argument decides nothing.
WITHOUT_EFFECT: dict[str, str] = {
    "FakeLedger.record_unreadable(at)": "kept for a person who reads the table; no method of the port tells it",
    "FakeLedger.build_index(services)": "the fake derives the index from the documents: there is nothing to build",
    "FakeLedger.build_index(now)": "the same",
}

# The same, of what is still to be made strict: an entry that is strict by now fails its test.
NOT_YET_STRICT: dict[str, str] = {}


@dataclass(frozen=True)
class Case:
    """One method of one fake."""

    port: str
    make: Callable[[], Any]
    method: str

    @property
    def fake(self) -> type:
        return type(self.make())

    @property
    def example(self) -> Example:
        return EXAMPLES[f"{self.port}.{self.method}"]

    def __str__(self) -> str:
        return f"{self.fake.__name__}.{self.method}"


CASES = [Case(port, make, method) for port, fakes in FAKES.items() for make in fakes for method in methods(PORTS[port])]
ARGUMENTS = [(case, argument) for case in CASES for argument in parameters(methods(PORTS[case.port])[case.method])]


def named(value: object) -> str | None:
    return str(value) if isinstance(value, Case) else None


def test_each_port_has_a_fake() -> None:
    assert PORTS.keys() == FAKES.keys()
    of_parts = {name for port in FAKES if port != "Ledger" for name in methods(PORTS[port])}
    assert set(methods(PORTS["Ledger"])) <= of_parts


def test_each_method_of_a_port_has_an_example_that_varies_each_of_its_arguments() -> None:
    of_ports = {
        f"{port}.{name}": method for port in FAKES if FAKES[port] for name, method in methods(PORTS[port]).items()
    }
    assert of_ports.keys() == EXAMPLES.keys()
    for name, method in of_ports.items():
        assert EXAMPLES[name].given.keys() == EXAMPLES[name].instead.keys() == parameters(method).keys(), name


@pytest.mark.parametrize("case", CASES, ids=named)
def test_a_fake_takes_what_its_port_takes(case: Case) -> None:
    def told(method: Any) -> list[tuple[str, object, object]]:
        return [(p.name, p.kind, p.default) for p in parameters(method).values()]

    assert told(getattr(case.fake, case.method)) == told(methods(PORTS[case.port])[case.method])


@pytest.mark.parametrize("case", CASES, ids=named)
def test_a_fake_reads_each_of_its_arguments(case: Case) -> None:
    read = names_read_in(getattr(case.fake, case.method))
    ignored = {name for name in parameters(methods(PORTS[case.port])[case.method]) if name not in read}
    assert not {name for name in ignored if reason_of(case, name) is None}


@pytest.mark.parametrize("case", CASES, ids=named)
def test_an_example_is_a_call_that_succeeds(case: Case) -> None:
    (how, answer), _ = record_call(case.make, case.method, case.example)
    assert how == "answered", answer


@pytest.mark.parametrize(("case", "argument"), ARGUMENTS, ids=named)
def test_an_argument_of_a_fake_decides_what_it_answers_refuses_or_keeps(case: Case, argument: str) -> None:
    alike = is_indifferent_to(case.make, case.method, case.example, argument)
    if reason_of(case, argument) is None:
        assert alike == []
    else:
        assert alike, f"{case}({argument}) is strict: take it out of the exceptions"


def test_each_exception_is_of_an_argument_that_there_is() -> None:
    assert WITHOUT_EFFECT.keys() | NOT_YET_STRICT.keys() <= {f"{case}({argument})" for case, argument in ARGUMENTS}


def reason_of(case: Case, argument: str) -> str | None:
    return (WITHOUT_EFFECT | NOT_YET_STRICT).get(f"{case}({argument})")


def names_read_in(method: Any) -> set[str]:
    """Names that are loaded anywhere in a method's body."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(method)))
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}


# These tests themselves: a kind fake does not pass them


class FakeOfAKindFake:
    """Reads and writes by name; `read` does not look at the place, and `write` only writes it down."""

    def __init__(self) -> None:
        self.values = {"a": 1, "b": 2}
        self.calls: list[str] = []

    def read(self, place: str, name: str) -> int:
        return self.values[name]

    def write(self, place: str, name: str) -> None:
        self.calls.append(place)
        self.values[name] = 3


FakeOfAKindFake.__module__ = "fakes"
KIND = Example({"place": "here", "name": "a"}, {"place": "there", "name": "b"})


def test_an_argument_that_is_ignored_is_found() -> None:
    assert names_read_in(FakeOfAKindFake.read) & {"place", "name"} == {"name"}
    assert is_indifferent_to(FakeOfAKindFake, "read", KIND, "place") == ["there"]
    assert is_indifferent_to(FakeOfAKindFake, "read", KIND, "name") == []


def test_an_argument_that_is_only_written_down_is_found() -> None:
    assert is_indifferent_to(FakeOfAKindFake, "write", KIND, "place") == ["there"]
    assert is_indifferent_to(FakeOfAKindFake, "write", KIND, "name") == []


def test_a_call_that_fails_differs_from_one_that_answers() -> None:
    assert is_indifferent_to(FakeOfAKindFake, "read", Example({"place": "", "name": "a"}, {"name": "c"}), "name") == []
