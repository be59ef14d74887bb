"""Fakes are as strict as their ports: each has the port's methods, and each argument has an effect."""

import ast
import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import examples.ledger as kept
import pytest
from examples import aws, database, github
from examples.calls import Example, is_indifferent_to, record_call
from support.port_methods import PORTS, methods, parameters

EXAMPLES = aws.EXAMPLES | database.EXAMPLES | github.EXAMPLES | kept.EXAMPLES

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
    "GitHub": (github.github,),
    "Notifications": (aws.notifications,),
    "ReportStore": (aws.report_store,),
    "Events": (aws.events,),
    "Metrics": (aws.metrics,),
    "Webhooks": (aws.webhooks,),
    "Workflow": (aws.workflow,),
    "IdentityProofs": (aws.identity_proofs,),
    "NeonProject": (database.neon,),
    "Sql": (database.sql,),
    "DatabaseChecks": (database.checks,),
    "Documents": (kept.ledger,),
    "Index": (kept.ledger,),
    "Pages": (kept.ledger,),
    "Deliveries": (kept.ledger,),
    "Leases": (kept.ledger,),
    "Releases": (kept.ledger,),
    "Branches": (kept.ledger,),
    "Operators": (kept.ledger,),
    "CausedDeployments": (kept.ledger,),
    "Approvals": (kept.ledger,),
    "TokenCipher": (aws.token_cipher,),
    "Ledger": (),  # the sum of those above
}

# Reasons why an argument has no effect, by `fake.method(argument)`.
WITHOUT_EFFECT: dict[str, str] = {
    "FakeLedger.put_approval_token(until)": "DynamoDB deletes the item then; no method of the port returns the time",
    "FakeLedger.record_unreadable(at)": "an operator reads it in the table; no method of the port returns it",
    "FakeLedger.build_index(services)": "the fake derives the index from the documents and builds nothing",
    "FakeLedger.build_index(now)": "the same",
}

# Arguments that are still to be made strict. An entry that has become strict fails its test.
NOT_YET_STRICT: dict[str, str] = {}


@dataclass(frozen=True)
class Case:
    """Method of a fake."""

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


def case_id(value: object) -> str | None:
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


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_a_fake_has_the_parameters_of_its_port(case: Case) -> None:
    def signature(method: Any) -> list[tuple[str, object, object]]:
        return [(p.name, p.kind, p.default) for p in parameters(method).values()]

    assert signature(getattr(case.fake, case.method)) == signature(methods(PORTS[case.port])[case.method])


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_a_fake_reads_each_of_its_arguments(case: Case) -> None:
    names = names_read_in(getattr(case.fake, case.method))
    ignored = {name for name in parameters(methods(PORTS[case.port])[case.method]) if name not in names}
    assert not {name for name in ignored if reason_of(case, name) is None}


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_an_example_is_a_call_that_succeeds(case: Case) -> None:
    (kind, answer), _ = record_call(case.make, case.method, case.example)
    assert kind == "answered", answer


@pytest.mark.parametrize(("case", "argument"), ARGUMENTS, ids=case_id)
def test_an_argument_of_a_fake_changes_its_answer_its_refusal_or_its_state(case: Case, argument: str) -> None:
    values_without_effect = is_indifferent_to(case.make, case.method, case.example, argument)
    if reason_of(case, argument) is None:
        assert values_without_effect == []
    else:
        assert values_without_effect, f"{case}({argument}) is strict: remove it from the exceptions"


def test_each_exception_names_an_argument_that_exists() -> None:
    assert WITHOUT_EFFECT.keys() | NOT_YET_STRICT.keys() <= {f"{case}({argument})" for case, argument in ARGUMENTS}


def reason_of(case: Case, argument: str) -> str | None:
    return (WITHOUT_EFFECT | NOT_YET_STRICT).get(f"{case}({argument})")


def names_read_in(method: Any) -> set[str]:
    """Collect the names that a method's body reads."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(method)))
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}


# Tests of these tests: a lenient fake fails them


class LenientFake:
    """Reads and writes by name; `read` ignores the place, and `write` only records it."""

    def __init__(self) -> None:
        self.values = {"a": 1, "b": 2}
        self.calls: list[str] = []

    def read(self, place: str, name: str) -> int:
        return self.values[name]

    def write(self, place: str, name: str) -> None:
        self.calls.append(place)
        self.values[name] = 3


LenientFake.__module__ = "fakes"
LENIENT_EXAMPLE = Example({"place": "here", "name": "a"}, {"place": "there", "name": "b"})


def test_the_check_finds_an_ignored_argument() -> None:
    assert names_read_in(LenientFake.read) & {"place", "name"} == {"name"}
    assert is_indifferent_to(LenientFake, "read", LENIENT_EXAMPLE, "place") == ["there"]
    assert is_indifferent_to(LenientFake, "read", LENIENT_EXAMPLE, "name") == []


def test_the_check_finds_an_argument_that_is_only_recorded() -> None:
    assert is_indifferent_to(LenientFake, "write", LENIENT_EXAMPLE, "place") == ["there"]
    assert is_indifferent_to(LenientFake, "write", LENIENT_EXAMPLE, "name") == []


def test_a_call_that_fails_differs_from_a_call_that_answers() -> None:
    assert is_indifferent_to(LenientFake, "read", Example({"place": "", "name": "a"}, {"name": "c"}), "name") == []
