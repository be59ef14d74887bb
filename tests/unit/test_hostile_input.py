"""Any input ends as a document with an outcome or is refused in one line; no input forges a report."""

import copy
import string
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given as fuzz
from hypothesis import settings, strategies
from simulations.fake_ports import OUTAGE
from simulations.service import FAMILY, PROMOTED, Simulation, alarm_event, deployment_event, start_simulation
from simulations.terminal import At
from support.builders import NOW, SERVICE, definition
from support.hostile_values import ESCAPES, FORGED, LONG, MARKUP, NOT_PRINTABLE, TEXTS, VALUES

from rollback.check import Check, Verdict
from rollback.domain.operator import Operator
from rollback.domain.request import Request
from rollback.domain.rollback import Outcome, Rollback
from rollback.errors import ExternalServiceError, InvalidRequest
from rollback.operations.pause_abort_unlock import pause
from rollback.resources.aws.account_and_region import AccountAndRegion
from rollback.text import ERROR_LIMIT
from rollback.workflow import janitor
from rollback.workflow.admit import admit

ITEM_LIMIT = 400 * 1024  # bytes, DynamoDB
ROOM = 50 * 1024  # for keys, and for fields that later steps add


class MeasuringLedger:
    """Ledger that remembers the size of the largest document that it saved."""

    def __init__(self, ledger: Any) -> None:
        self._ledger = ledger
        self.largest = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    def create(self, rollback: Rollback) -> Rollback:
        self._measure(rollback)
        stored: Rollback = self._ledger.create(rollback)
        return stored

    def save(self, rollback: Rollback, **options: Any) -> Rollback:
        self._measure(rollback)
        stored: Rollback = self._ledger.save(rollback, **options)
        return stored

    def _measure(self, rollback: Rollback) -> None:
        self.largest = max(self.largest, len(rollback.model_dump_json().encode()))


def run_input(simulation: Simulation, execution_input: object) -> Rollback | None:
    """Run an input to its end, and check that reports are printable and the document fits into DynamoDB.

    Returns:
        The concluded rollback, or None if the input was refused.
    """
    ledger = MeasuringLedger(simulation.ledger)
    simulation.replace(ledger=ledger)
    try:
        rollback = simulation.read(simulation.run(execution_input))
    except InvalidRequest as refused:
        message = str(refused)
        assert len(message) <= ERROR_LIMIT
        assert message.isprintable()
        assert list(simulation.ledger.history(SERVICE)) == [], "the input was refused after a document was created"
        return None
    assert rollback.outcome is not None
    assert rollback.concluded_at is not None
    assert ledger.largest < ITEM_LIMIT - ROOM
    assert_reports_are_plain(simulation)
    return rollback


def assert_reports_are_plain(simulation: Simulation) -> None:
    for notification in simulation.notifications.sent:
        assert notification.subject.isascii()
        assert notification.subject.isprintable()
        assert len(notification.message.encode()) < 250_000
        for line in notification.message.split("\n"):
            assert line.isprintable(), repr(line)


def start_without_alarm() -> Simulation:
    """Run v2 while no alarm is in ALARM."""
    simulation = start_simulation()
    simulation.alarms.recover(*simulation.alarms.in_alarm)
    return simulation


REQUEST_FIELDS = tuple(Request.model_fields)


@pytest.mark.parametrize("field", [*REQUEST_FIELDS, "traget_version", LONG, ESCAPES], ids=lambda name: name[:20])
@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_any_field_of_a_request_may_hold_anything(field: str, value: Any) -> None:
    run_input(
        start_without_alarm(),
        {"type": "full", field: value} if field in ("pr", "strategy", "to", "undo") else {field: value},
    )


@pytest.mark.parametrize("name", [name for name, value in VALUES.items() if not isinstance(value, Mapping)])
def test_an_input_that_is_not_an_object_is_refused(name: str) -> None:
    simulation = start_without_alarm()
    with pytest.raises(InvalidRequest, match="JSON object"):
        admit(VALUES[name], "execution-1", NOW, simulation.ports)
    assert list(simulation.ledger.history(SERVICE)) == []


EVENTS = {"alarm": alarm_event(), "outage": alarm_event(alarm=OUTAGE), "deployment": deployment_event()}
PARTS: dict[str, tuple[tuple[str, ...], ...]] = {
    "alarm": (
        *((part,) for part in ("id", "time", "account", "region", "source", "resources", "detail", "detail-type")),
        *(("detail", part) for part in ("alarmName", "state", "previousState", "configuration")),
        *(("detail", state, part) for state in ("state", "previousState") for part in ("value", "reason")),
    ),
    "outage": (("detail", "state", "reason"), ("detail", "previousState"), ("id",), ("time",)),
    "deployment": (("resources",), ("detail",), ("detail", "eventName"), ("detail", "reason"), ("id",), ("time",)),
}
MISSING = object()


def with_part(event: dict[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    changed_event = copy.deepcopy(event)
    part = changed_event
    for name in path[:-1]:
        part = part[name]
    if value is MISSING:
        part.pop(path[-1], None)
    else:
        part[path[-1]] = value
    return changed_event


@pytest.mark.parametrize(("kind", "path"), [(kind, path) for kind, paths in PARTS.items() for path in paths])
@pytest.mark.parametrize("value", [MISSING, *VALUES.values()], ids=["missing", *VALUES])
def test_any_part_of_an_event_may_hold_anything(kind: str, path: tuple[str, ...], value: Any) -> None:
    simulation = start_simulation()
    simulation.alarms.fire(OUTAGE, NOW)
    run_input(simulation, with_part(EVENTS[kind], path, value))


JSON = strategies.recursive(
    strategies.none()
    | strategies.booleans()
    | strategies.integers()
    | strategies.floats()
    | strategies.text(strategies.characters(codec=None), max_size=40)
    | strategies.sampled_from([VALUES[name] for name in VALUES if name not in NOT_PRINTABLE]),
    lambda inner: (
        strategies.lists(inner, max_size=3)
        | strategies.dictionaries(strategies.text(string.printable, max_size=10), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=150)
@fuzz(
    execution_input=JSON
    | strategies.dictionaries(strategies.sampled_from(REQUEST_FIELDS), JSON, max_size=4)
    | strategies.fixed_dictionaries({}, optional=dict.fromkeys(("detail", "detail-type", "id", "time"), JSON))
)
def test_any_json_input_becomes_a_rollback_or_is_refused(execution_input: object) -> None:
    run_input(start_without_alarm(), execution_input)


@settings(max_examples=150)
@fuzz(
    kind=strategies.sampled_from(list(EVENTS)),
    changes=strategies.lists(strategies.tuples(strategies.integers(0, 15), JSON), min_size=1, max_size=3),
)
def test_any_event_becomes_a_rollback_or_is_refused(kind: str, changes: list[tuple[int, Any]]) -> None:
    event, simulation = EVENTS[kind], start_simulation()
    simulation.alarms.fire(OUTAGE, NOW)
    for number, value in changes:
        path = PARTS[kind][number % len(PARTS[kind])]
        try:
            event = with_part(event, path, value)
        except (TypeError, KeyError, AttributeError, IndexError):
            continue  # an earlier change took that part away
    run_input(simulation, event)


# Releases that a team ships


def ship_version(version: str) -> Simulation:
    """Run a release with this version; v1 is promoted."""
    simulation = Simulation()
    simulation.ship("v1", PROMOTED, hours_ago=48)
    task_definition = definition("v2")
    task_definition["containerDefinitions"][0]["environment"] = [
        {"name": "APP_VERSION", "value": version},
        {"name": "GIT_COMMIT", "value": version},
    ]
    arn = simulation.services.register_release(task_definition, FAMILY)
    simulation.services.run(arn, desired_count=2, created_at=NOW - timedelta(minutes=12))
    simulation.services.calls.clear()
    return simulation


@pytest.mark.parametrize("alarm", [alarm_event(), alarm_event(alarm=OUTAGE)], ids=["degraded", "outage"])
@pytest.mark.parametrize("version", TEXTS.values(), ids=TEXTS)
def test_a_release_with_any_version_is_rolled_back(version: str, alarm: dict[str, Any]) -> None:
    simulation = ship_version(version)
    simulation.alarms.fire(OUTAGE, NOW)
    rollback = run_input(simulation, alarm)
    assert rollback is not None
    assert rollback.outcome is Outcome.SUCCEEDED
    assert rollback.plan is not None
    assert len(rollback.plan.running.version) <= 128
    report = simulation.notifications.sent[-1].message
    assert not any(line.startswith(("Rollback done", "Next:")) for line in report.split("\n"))


def test_two_long_versions_with_the_same_beginning_stay_different() -> None:
    names = set()
    for suffix in ("a", "b"):
        rollback = run_input(ship_version(LONG + suffix), alarm_event())
        assert rollback is not None
        assert rollback.plan is not None
        names.add(rollback.plan.running.version)
    assert len(names) == 2


# Reports, pages and errors


def test_a_refused_reason_pages_no_operator() -> None:
    """Step Functions names an error by its class, and the janitor pages for every class but InvalidRequest."""
    simulation = start_without_alarm()
    with pytest.raises(InvalidRequest) as error:
        simulation.admit({"reason": "x" * 1_001})
    reason = f"its execution ended as FAILED: {type(error.value).__name__} {error.value}"
    assert (
        janitor.conclude_execution("arn:aws:states:::execution:x", reason, simulation.ports, error="InvalidRequest")
        == []
    )
    assert simulation.pages() == []


def test_a_page_about_an_execution_has_no_escape_sequence_and_no_forged_line() -> None:
    simulation = start_without_alarm()
    janitor.conclude_execution(
        "arn:aws:states:::execution:x", f"ended as FAILED: {ESCAPES}\n{FORGED}", simulation.ports
    )
    (page,) = simulation.pages()
    assert "\x1b" not in page
    assert [line for line in page.split("\n") if line.startswith(("Rollback done", "Next:"))] == ["Next:"]


def test_a_refused_dry_run_pages_no_operator() -> None:
    simulation = start_without_alarm()
    dry_run = run_input(simulation, {"target_version": "v9", "dry_run": True})
    assert dry_run is not None
    assert dry_run.outcome is Outcome.REFUSED
    assert simulation.severities() == ["info"]
    simulation_without_dry_run = start_without_alarm()
    run_input(simulation_without_dry_run, {"target_version": "v9"})
    assert simulation_without_dry_run.severities() == ["page"]


def test_an_error_has_a_bounded_printable_answer_of_aws() -> None:
    message = str(ExternalServiceError(f"UpdateService failed: {ESCAPES}\n{LONG}"))
    assert len(message) <= 2_000
    assert "\x1b" not in message


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_large_evidence_of_a_check_is_cut_to_fit_into_a_document(value: Any) -> None:
    evidence = {f"{name}{number}": value for number in range(200) for name in ("a", "b")}
    check = Check.failed("images", LONG, evidence={"one": value, "many": evidence})
    assert len(check.model_dump_json().encode()) < 60_000


def test_small_evidence_is_stored_unchanged() -> None:
    evidence = {"lsn": "0/1", "count": 3, "red": ["a", "b"], "nested": {"x": [1, {"y": None}]}}
    assert Check.passed("c", "", evidence=evidence).evidence == evidence


# Events of other accounts, and of the future


HOME = AccountAndRegion("123456789012", "eu-west-1")
OUR_ACCOUNT = {"account": HOME.account, "region": HOME.region}


def start_in_our_account() -> Simulation:
    simulation = start_simulation()
    simulation.replace(account_and_region=HOME)
    return simulation


FOREIGN_EVENTS = {
    "an alarm of another account": {**alarm_event(), **OUR_ACCOUNT, "account": "999999999999"},
    "an alarm of another region": {**alarm_event(), **OUR_ACCOUNT, "region": "us-east-1"},
    "an alarm of no account": alarm_event(),
    "another account's alarm under our name": {
        **alarm_event(),
        **OUR_ACCOUNT,
        "resources": ["arn:aws:cloudwatch:eu-west-1:999999999999:alarm:x"],
    },
    "another region's service under our name": {
        **deployment_event(),
        **OUR_ACCOUNT,
        "resources": [deployment_event()["resources"][0].replace("eu-west-1", "us-east-1")],
    },
}


@pytest.mark.parametrize("event", FOREIGN_EVENTS.values(), ids=FOREIGN_EVENTS)
def test_an_event_of_another_account_or_region_is_recorded_and_not_acted_upon(event: dict[str, Any]) -> None:
    simulation = start_in_our_account()
    rollback = run_input(simulation, event)
    assert rollback is not None
    assert rollback.outcome is Outcome.SUPPRESSED
    assert simulation.check(rollback, "event-is-from-this-account").verdict is Verdict.FAIL
    assert "123456789012" in rollback.reason
    assert simulation.changes() == []


@pytest.mark.parametrize("event", [alarm_event(), deployment_event()], ids=["alarm", "deployment"])
def test_an_event_of_our_own_account_is_acted_upon(event: dict[str, Any]) -> None:
    simulation = start_in_our_account()
    if event["detail-type"] == "ECS Deployment State Change":
        simulation.begin_deployment("v3", "crashing")
        for _ in range(3):
            simulation.services.tick()
    rollback = run_input(simulation, {**event, **OUR_ACCOUNT})
    assert rollback is not None
    assert rollback.outcome is Outcome.SUCCEEDED


def test_the_check_of_an_events_account_is_skipped_where_our_own_account_is_unknown() -> None:
    simulation = start_simulation()
    rollback = run_input(simulation, {**alarm_event(), "account": "999999999999"})
    assert rollback is not None
    assert simulation.check(rollback, "event-is-from-this-account").verdict is Verdict.SKIPPED


@pytest.mark.parametrize(("ahead", "outcome"), [(30, Outcome.SUCCEEDED), (61, Outcome.SUPPRESSED)])
def test_an_event_from_the_future_is_recorded_and_not_acted_upon(ahead: int, outcome: Outcome) -> None:
    simulation = start_simulation()
    rollback = run_input(simulation, alarm_event(at=NOW + timedelta(seconds=ahead)))
    assert rollback is not None
    assert rollback.outcome is outcome
    check = simulation.check(rollback, "event-is-fresh")
    assert (check.verdict is Verdict.FAIL) == (outcome is Outcome.SUPPRESSED)
    assert ("in the future" in check.reason) == (outcome is Outcome.SUPPRESSED)


def test_an_event_that_the_janitor_makes_is_of_our_own_account() -> None:
    simulation = start_in_our_account()
    simulation.alarms.fire(OUTAGE, NOW)
    simulation.pass_time(minutes=30)
    for alarm in (OUTAGE,):
        simulation.alarms.fire(alarm, simulation.clock.now() - timedelta(minutes=29))
    janitor.sweep(simulation.ports)
    assert simulation.workflow.started
    _, event = simulation.workflow.started[0]
    rollback = run_input(simulation, event)
    assert rollback is not None
    assert simulation.check(rollback, "event-is-from-this-account").verdict is Verdict.PASS


# Command line


@contextmanager
def run_command(simulation: Simulation, terminal: At, *words: str) -> Iterator[tuple[int, str]]:
    type_ = terminal(simulation)
    code = type_(*words)
    for line in type_.said.split("\n"):
        assert all(field.isprintable() for field in line.split("\t")), repr(line)  # tabs part the fields of records
    yield code, type_.said


WORDS = {
    "a long reason": ("--reason", "x" * 1_001),
    "escape sequences": ("--target-version", ESCAPES),
    "markup": ("--target-version", MARKUP),
    "a closing tag": ("--target-version", "x[/login]"),
    "a week date": ("--to", "2026-W10-1T00:00:00Z", "--type", "full"),
    "an unknown type": ("--type", "[/x]"),
    "a backslash": ("--target-version", "v9\\"),
}


@pytest.mark.parametrize("mode", [(), ("--direct",)], ids=["step-functions", "direct"])
@pytest.mark.parametrize("words", WORDS.values(), ids=WORDS)
def test_a_mistyped_start_is_one_plain_line(terminal: At, words: tuple[str, ...], mode: tuple[str, ...]) -> None:
    if words[0] == "--target-version" and not mode and "\x1b" not in words[1]:
        mode = ("--direct",)  # the command line looks a version up; this test has no Step Functions to start
    with run_command(start_simulation(), terminal, "start", "production", "--yes", *words, *mode) as (code, output):
        assert code in (1, 2)
        assert output.strip()


@pytest.mark.parametrize("version", TEXTS.values(), ids=TEXTS)
def test_a_rollback_on_the_command_line_survives_any_version(terminal: At, version: str) -> None:
    simulation = ship_version(version)
    with run_command(simulation, terminal, "start", "production", "--direct", "--reason", f"see {MARKUP}") as (code, _):
        assert code == 0
    for verb in (("status",), ("versions",), ("history",)):
        with run_command(simulation, terminal, verb[0], "production", *verb[1:]) as (code, _):
            assert code == 0


def test_a_reason_in_brackets_is_shown_unchanged(terminal: At) -> None:
    simulation = start_without_alarm()
    pause(SERVICE, Operator(name="ann", reason="see [/wiki/incident-7] :boom:"), simulation.ports)
    with run_command(simulation, terminal, "status", "production") as (_, output):
        assert "see [/wiki/incident-7] :boom:" in output
    simulation.run({"target_version": "v9", "reason": "x"})
    with run_command(simulation, terminal, "history", "production") as (code, _):
        assert code == 0


@pytest.mark.parametrize("words", [("quarantine", "[/x]", "--reason", "y"), ("show", "[/x]-1-2"), ("show", "\x1b[31m")])
def test_an_error_quotes_the_typed_words_in_one_line(terminal: At, words: tuple[str, ...]) -> None:
    with run_command(start_simulation(), terminal, words[0], "production", *words[1:]) as (code, output):
        assert code == 2
        assert [line.partition(" ")[0] for line in output.splitlines()] == ["error:", "next:"]
        assert "\ufffd" in output or "[/x]" in output


def test_the_home_account_and_region_come_from_the_topics_arn() -> None:
    assert AccountAndRegion.of_arn("arn:aws:sns:eu-west-1:123456789012:alerts") == HOME
    assert AccountAndRegion.of_arn("topic") is None
    assert replace(HOME, region="x").foreign_arns(["arn:aws:s3:::bucket"]) == []
