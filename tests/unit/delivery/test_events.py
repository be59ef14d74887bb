"""Events about a rollback's phases: when they are emitted, and what they say."""

import json
from pathlib import Path
from typing import Any

import pytest
from fakes.aws.events import FakeEvents
from faults.scenarios.service import Incident
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from simulations.fake_ports import make_ports
from simulations.github_deliveries import gate
from support.builders import NOW, SERVICE, release, rollback

from rollback.delivery.channels import CHANNELS
from rollback.delivery.deliver import deliver
from rollback.delivery.event_detail import event_detail, present_key
from rollback.delivery.events import EventsChannel, emit_phases
from rollback.delivery.occasions import deliver_after_conclusion, deliver_on_event
from rollback.domain.approval.gate import DecisionKind
from rollback.domain.delivery.delivery import Channel
from rollback.domain.delivery.phase import Phase, phase_of, phases_between
from rollback.domain.escalation import EscalationAttempt, EscalationLevel
from rollback.domain.plan import Plan
from rollback.domain.request import Request, RollbackType, Trigger
from rollback.domain.rollback import Outcome, Verification
from rollback.domain.service_progress import ServiceProgress
from rollback.errors import ExternalServiceError
from rollback.ports.all_ports import AllPorts
from rollback.ports.reporting import RollbackEvent

SCHEMA = json.loads((Path(__file__).parents[3] / "docs" / "schemas" / "rollback-event-v1.json").read_text())
EMITTING = [trigger for trigger in Trigger if trigger is not Trigger.TEST]  # a test event emits none
VALIDATOR = Draft202012Validator(SCHEMA)
STARTED = rollback()
PLANNED = STARTED.evolve(plan=Plan(running=release("v2"), target=release("v1"), checks=()))
ACTING = PLANNED.evolve(service=ServiceProgress(started_at=NOW, escalation_level_since=NOW, acted_at=NOW))
VERIFYING = ACTING.evolve(verification=Verification(started_at=NOW))
CONCLUDED = VERIFYING.evolve(outcome=Outcome.SUCCEEDED, concluded_at=NOW)
REFUSED = PLANNED.evolve(outcome=Outcome.REFUSED, concluded_at=NOW)


def bus(ports: AllPorts) -> FakeEvents:
    assert isinstance(ports.events, FakeEvents)
    return ports.events


@pytest.mark.parametrize(
    ("before", "after", "phases"),
    [
        (None, STARTED, ["started"]),
        (STARTED, STARTED, []),
        (STARTED, PLANNED, ["planned"]),
        (PLANNED, ACTING, ["acting"]),
        (ACTING, VERIFYING, ["verifying"]),
        (VERIFYING, ACTING, ["acting"]),
        (VERIFYING, CONCLUDED, ["concluded"]),
        (PLANNED, REFUSED, ["concluded"]),
        (None, REFUSED, ["started", "planned", "concluded"]),
        (None, ACTING, ["started", "planned", "acting"]),
        (STARTED, STARTED.evolve(evaluations=2), ["started"]),
    ],
)
def test_each_entered_phase_is_emitted_once(before: Any, after: Any, phases: list[str]) -> None:
    assert [phase.value for phase in phases_between(before, after)] == phases


def test_a_phase_that_is_entered_again_has_an_event_id_of_its_own() -> None:
    attempt = EscalationAttempt(
        escalation_level=EscalationLevel.SERVICE, since=NOW, until=NOW, escalation_reason="unhealthy"
    )
    assert ACTING.service is not None
    again = ACTING.evolve(service=ACTING.service.evolve(attempts=(attempt,)))
    approved = PLANNED.evolve(approval=gate(DecisionKind.APPROVED))
    entered = [
        (PLANNED.evolve(approval=gate()), Phase.PLANNED),
        (approved, Phase.PLANNED),
        (ACTING, Phase.ACTING),
        (VERIFYING, Phase.VERIFYING),
        (again, Phase.ACTING),
        (again.evolve(verification=VERIFYING.verification), Phase.VERIFYING),
    ]
    ids = [event_detail(document, phase, "macro-ai")["event_id"] for document, phase in entered]
    assert ids == [
        f"{STARTED.id}:{key}"
        for key in ("1:planned", "1:planned:2", "1:acting", "1:verifying", "1:acting:2", "1:verifying:2")
    ]


def test_a_rollback_emits_its_phases_in_order() -> None:
    incident = Incident()
    incident.deliver("execution-1")
    assert bus(incident.real).kinds == [
        "rollback.planned",
        "rollback.acting",
        "rollback.verifying",
        "rollback.concluded",
    ]


@given(
    st.sampled_from([STARTED, PLANNED, ACTING, VERIFYING, CONCLUDED, REFUSED]),
    st.sampled_from(Phase),
    st.text(max_size=3_000),
    st.sampled_from(EMITTING),
    st.booleans(),
)
def test_every_detail_is_valid_and_small(
    document: Any, phase: Phase, reason: str, trigger: Trigger, dry_run: bool
) -> None:
    request = Request(service=SERVICE, dry_run=dry_run, type=RollbackType.FULL)
    detail = event_detail(document.evolve(reason=reason, trigger=trigger, request=request), phase, "macro-ai")
    VALIDATOR.validate(detail)
    assert len(json.dumps(detail)) < 16_000
    assert detail["drill"] is (trigger is Trigger.DRILL)


def test_the_schema_knows_every_phase_type_trigger_and_outcome() -> None:
    known = {name: set(SCHEMA["properties"][name]["enum"]) for name in ("phase", "type", "trigger", "outcome")}
    assert known == {
        "phase": {phase.value for phase in Phase},
        "type": {kind.value for kind in RollbackType},
        "trigger": {trigger.value for trigger in EMITTING},
        "outcome": {None, *(outcome.value for outcome in Outcome)},
    }


def test_the_schema_names_every_member_of_the_detail() -> None:
    assert set(SCHEMA["required"]) == set(SCHEMA["properties"]) == set(event_detail(STARTED, Phase.STARTED, "a"))


def test_the_end_names_the_command_of_the_report_and_no_event_has_a_link() -> None:
    ended = rollback(outcome=Outcome.FAILED, concluded_at=NOW)
    detail = event_detail(ended, Phase.CONCLUDED, "macro-ai")
    assert detail["commands"] == [f"rollback show production {ended.id}", f"rollback report production {ended.id}"]
    assert len(event_detail(rollback(), Phase.STARTED, "macro-ai")["commands"]) == 1
    assert "https://" not in json.dumps(detail)


def test_an_emergency_emits_nothing_before_it_has_changed_ecs() -> None:
    ports = make_ports()
    emergency = Request(service=SERVICE, type=RollbackType.EMERGENCY)
    announced = emit_phases(None, PLANNED.evolve(request=emergency), ports)
    assert (announced, bus(ports).kinds) == (None, [])
    emit_phases(announced, ACTING.evolve(request=emergency), ports)
    assert bus(ports).kinds == ["rollback.started", "rollback.planned", "rollback.acting"]


class SilentBus:
    def put(self, events: tuple[RollbackEvent, ...]) -> None:
        raise ExternalServiceError(f"PutEvents got no answer for {len(events)} events")


def test_a_lost_event_stops_nothing() -> None:
    assert emit_phases(STARTED, PLANNED, make_ports(events=SilentBus())) == PLANNED


def own_event(document: Any, phase: Phase) -> dict[str, Any]:
    return {"id": "e-1", "detail-type": f"rollback.{phase}", "detail": event_detail(document, phase, "macro-ai")}


def stored(document: Any) -> AllPorts:
    ports = make_ports()
    ports.ledger.create(document)
    return ports


def test_an_event_that_came_back_is_not_emitted_again() -> None:
    ports = stored(CONCLUDED)
    deliver_on_event(own_event(CONCLUDED, Phase.CONCLUDED), ports)
    deliver(CONCLUDED, CHANNELS, ports)
    assert bus(ports).kinds == []
    delivery = ports.ledger.delivery(CONCLUDED.id, Channel.EVENTS)
    assert delivery is not None
    assert (delivery.delivered_key, delivery.reference) == (present_key(CONCLUDED), "e-1")


def test_an_event_that_never_came_back_is_emitted_again() -> None:
    ports = stored(CONCLUDED)
    deliver(CONCLUDED, CHANNELS, ports)
    assert bus(ports).kinds == ["rollback.concluded"]


def test_an_event_about_an_earlier_phase_proves_nothing_about_the_present_one() -> None:
    ports = stored(CONCLUDED)
    deliver_on_event(own_event(ACTING, Phase.ACTING), ports)
    assert ports.ledger.delivery(CONCLUDED.id, Channel.EVENTS) is None


@pytest.mark.parametrize("phase", Phase)
def test_delivering_on_an_event_emits_none(phase: Phase) -> None:
    ports = stored(CONCLUDED)
    deliver_on_event(own_event(CONCLUDED, phase), ports)
    deliver_after_conclusion(CONCLUDED.id, ports)
    assert bus(ports).kinds == []


@pytest.mark.parametrize("detail", [None, [], {}, {"rollback_id": 7}, {"rollback_id": "x"}, {"rollback_id": "\ud800"}])
def test_a_forged_event_delivers_nothing(detail: Any) -> None:
    (line,) = deliver_on_event({"detail": detail}, make_ports())
    assert "nothing was delivered" in line


def test_the_events_channel_names_phase_and_evaluation() -> None:
    assert EventsChannel().key(CONCLUDED.evolve(evaluations=3), make_ports()) == "3:concluded"
    assert phase_of(CONCLUDED) is Phase.CONCLUDED
