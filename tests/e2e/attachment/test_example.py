"""The example app: deployed into the embedded cloud, its bad release is rolled back."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from contract.local_cloud.workload import HEALTHY
from e2e.attachment.guard_process import EXAMPLE, FIRST_VERSION, STACK
from e2e.conftest import pointed_at
from e2e.live import DeployedEnvironment, wait_for
from e2e.processes import ROLLBACK, Process, run

from rollback.domain.releases.release import ReleaseState
from rollback.domain.rollback import Outcome

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def variables() -> Iterator[dict[str, str]]:
    """Environment variables of a client of the cloud that has the example."""
    with Process([sys.executable, str(Path(__file__).with_name("guard_process.py"))]) as process:
        started: dict[str, str] = json.loads(process.line_with('"AWS_ENDPOINT_URL"', seconds=900))
        yield started


def test_the_example_is_short() -> None:
    assert len((EXAMPLE / "app.py").read_text().splitlines()) <= 40


def _ship(live: DeployedEnvironment, version: str) -> set[str]:
    """Deploy a version that was pushed, as a pipeline does; wait until it alone runs and the ledger knows it."""
    digests = {live.digest_of(version)}
    live.ship(version, desired_count=2)
    wait_for(lambda: live.is_settled() and live.running_digests() == digests)
    wait_for(lambda: live.find_release(version))
    return digests


def test_a_bad_release_of_the_example_is_rolled_back(variables: dict[str, str]) -> None:
    with pointed_at(variables):
        live = DeployedEnvironment()
        good_digests = _ship(live, FIRST_VERSION)
        live.promote(FIRST_VERSION)
        live.push("v1.1.0", dict(HEALTHY))
        _ship(live, "v1.1.0")

        live.turn_alarm("ALARM")
        live.wait_for_rollback(lambda r: r.trigger == "alarm" and r.has_acted)
        live.turn_alarm("OK")  # a rollback that leaves the alarm in ALARM is no success

        rollback = live.wait_until_concluded(lambda r: r.trigger == "alarm")
        assert rollback.outcome is Outcome.SUCCEEDED, rollback.reason
        assert live.running_digests() == good_digests
        assert {r.version: r.state for r in live.releases()} == {
            FIRST_VERSION: ReleaseState.PROMOTED,
            "v1.1.0": ReleaseState.QUARANTINED,
        }

    without_stack = {name: value for name, value in variables.items() if name != "ROLLBACK_STACK"}
    for words, client in (((), variables), (("--stack", STACK), without_stack)):
        status = run([ROLLBACK, "status", "production", *words], client)
        assert (status.returncode, f"\truns\tinfo\t{FIRST_VERSION} (promoted)" in status.stdout) == (0, True), (
            status.stdout
        )
