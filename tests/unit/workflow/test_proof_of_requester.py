"""Admit records who starts a rollback: a person whom STS confirms, or a claim with the reason why it is only that."""

from collections.abc import Mapping
from typing import Any

import pytest
from fakes.aws.step_functions import execution_arn
from fakes.identity import FakeIdentityProofs
from simulations.service import Simulation, alarm_event, start_simulation

from rollback.check import Verdict
from rollback.domain.approval.identity_proof import PROOF, purpose_of_start
from rollback.domain.rollback import Rollback
from rollback.workflow.admit import admit

ADA = "arn:aws:sts::123456789012:assumed-role/OnCall/ada"
REQUEST = {"type": "service", "reason": "v2 is bad", "requested_by": "ada@laptop"}
CHECK = "proof-of-requester-is-valid"


def simulate() -> tuple[Simulation, FakeIdentityProofs]:
    simulation, sts = start_simulation(), FakeIdentityProofs()
    simulation.replace(identity_proofs=sts)
    return simulation, sts


def sign(
    sts: FakeIdentityProofs, simulation: Simulation, request: Mapping[str, Any], execution: str = "execution-1"
) -> dict[str, object]:
    """Sign a proof for a start now, as Ada does."""
    purpose = purpose_of_start(request, execution_arn(execution))
    return sts.sign(ADA, purpose, f"{simulation.clock.now():%Y%m%dT%H%M%SZ}")


def problem_of(rollback: Rollback) -> str:
    """Return why the proof does not count."""
    assert rollback.requester is None
    (check,) = (check for check in rollback.admission if check.name == CHECK)
    assert check.verdict is Verdict.WARN
    return check.reason


def test_a_person_whom_sts_confirms_is_recorded_as_the_requester() -> None:
    simulation, sts = simulate()
    rollback = simulation.admit({**REQUEST, PROOF: sign(sts, simulation, REQUEST)})

    assert rollback.requester is not None
    assert (rollback.requester.arn, rollback.requester.is_verified) == (ADA, True)
    assert CHECK not in {check.name for check in rollback.admission}
    assert rollback.is_requested_by_person


def test_a_start_without_a_proof_is_admitted_with_a_claimed_requester() -> None:
    simulation, sts = simulate()
    rollback = simulation.admit(REQUEST)

    assert (rollback.requester, rollback.request.requested_by) == (None, "ada@laptop")
    assert rollback.admitted_at is not None
    assert sts.asked == []


@pytest.mark.parametrize(
    ("signed", "execution"),
    [
        (REQUEST, "execution-0"),
        ({**REQUEST, "dry_run": True}, "execution-1"),
        ({**REQUEST, "requested_by": "grace"}, "execution-1"),
    ],
    ids=["another execution", "a dry run", "another claimed name"],
)
def test_a_replayed_proof_names_nobody_and_the_rollback_goes_on(signed: Mapping[str, Any], execution: str) -> None:
    simulation, sts = simulate()
    rollback = simulation.admit({**REQUEST, PROOF: sign(sts, simulation, signed, execution)})

    assert "unverified: ada@laptop" in problem_of(rollback)
    assert "signed for another decision or another start" in problem_of(rollback)
    assert rollback.admitted_at is not None
    assert sts.asked == []


def test_a_start_does_not_depend_on_sts() -> None:
    simulation, sts = simulate()
    sts.is_down = True
    rollback = simulation.admit({**REQUEST, PROOF: sign(sts, simulation, REQUEST)})

    assert "STS gave no answer" in problem_of(rollback)
    assert rollback.admitted_at is not None


def admit_later(simulation: Simulation, given: Mapping[str, Any], seconds: float) -> Rollback:
    """Admit a start whose first attempt succeeds some time after the execution began."""
    started_at = simulation.clock.now()
    simulation.clock.pass_time(seconds=seconds)
    return admit(given, execution_arn("execution-1"), started_at, simulation.ports)


def test_an_admission_that_succeeds_late_keeps_a_proof_that_was_fresh_at_the_start() -> None:
    simulation, sts = simulate()
    rollback = admit_later(simulation, {**REQUEST, PROOF: sign(sts, simulation, REQUEST)}, seconds=300)

    assert rollback.requester is not None
    assert rollback.requester.arn == ADA


def test_a_proof_that_was_old_at_the_start_names_nobody() -> None:
    simulation, sts = simulate()
    given = {**REQUEST, PROOF: sign(sts, simulation, REQUEST)}
    simulation.clock.pass_time(seconds=61)

    assert "older than 60 s" in problem_of(admit_later(simulation, given, seconds=0))


@pytest.mark.parametrize("proof", ["nonsense", [], {}, 7, {"method": "POST"}], ids=repr)
def test_a_proof_in_another_form_names_nobody(proof: object) -> None:
    simulation, _ = simulate()
    assert "the proof is not an object" in problem_of(simulation.admit({**REQUEST, PROOF: proof}))


def test_an_emergency_asks_nobody() -> None:
    simulation, sts = simulate()
    request = {**REQUEST, "type": "emergency"}
    rollback = simulation.admit({**request, PROOF: sign(sts, simulation, request)})

    assert rollback.requester is None
    assert rollback.admitted_at is not None
    assert sts.asked == []


def test_an_event_has_no_requester_even_with_a_proof() -> None:
    simulation, sts = simulate()
    rollback = simulation.admit({**alarm_event(), PROOF: sign(sts, simulation, REQUEST)})

    assert (rollback.requester, rollback.is_requested_by_person) == (None, False)
    assert sts.asked == []


def test_the_proof_is_not_stored() -> None:
    simulation, sts = simulate()
    rollback = simulation.admit({**REQUEST, PROOF: sign(sts, simulation, REQUEST)})
    assert next(iter(sts.signers)) not in rollback.model_dump_json()
