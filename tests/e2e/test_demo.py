"""Scenarios of the demo, each played to its end. Alarms, deployments, or two people start their rollbacks."""

import re

import pytest
from e2e.processes import ROLLBACK, run

PROMOTED = r"release v1\.0\.0 is promoted"
QUARANTINED = r"release v1\.1\.0 is quarantined"
BACK = r"succeeded and concluded: v1\.1\.0 → v1\.0\.0"
RECOVERED = r"recovered: the service verifiably runs its last known good release"

# Events that the timeline of each scenario must show, in this order.
SHOWN_EVENTS = {
    "bad-release": (
        PROMOTED, r"alarm \S+-degraded: ALARM", r"service rollback \w+: .*update_service", QUARANTINED, BACK, RECOVERED
    ),
    "failed-deployment": (PROMOTED, r"service rollback \w+: ", QUARANTINED, BACK, RECOVERED),
    "outage": (
        r"alarm \S+-outage: ALARM",
        r"emergency rollback \w+: update_service",
        r"first changed from within invocation 1 of .*Emergency",
        rf"emergency rollback \w+: {BACK}",
        RECOVERED,
    ),
    "stuck-lock": (
        r"emergency rollback \w+: update_service",
        r"escalating to restart from zero",
        r"suspend_scaling",
        r"scale_to_zero",
        r"start_from_zero",
        rf"emergency rollback \w+: {BACK}, by restart from zero",
        RECOVERED,
    ),
    "bad-migration": (
        PROMOTED,
        r"checkpoint before v1\.1\.0",
        r"can't go back to v1\.0\.0 without its database, which is rolled back too, because of "
        r"0001_drop_email: .*email",
        r"database create_preview",
        r"database delete_preview",
        r"express-api: at zero tasks since",
        r"full rollback \w+: fenced",
        r"database restore",
        r"public\.users_id_seq continues after",
        r"express-api: at zero tasks for \d+ s, of which the restore took \d+ s",
        r"connections: express-api: started from zero tasks, .* its session was seen on the branch",
        QUARANTINED,
        BACK,
        r"data loss: public\.users",
        r"recovered with its data: .* the report lists exactly these rows",
    ),
    "approval": (
        PROMOTED,
        r"checkpoint before v1\.1\.0",
        r"ada starts a full rollback by hand",
        r"waits for an approval until",
        r"ada tries to approve her own rollback:\n.*demo-on-call/ada started the rollback, and approval\.four_eyes",
        r"ben approves:\n.*approved by arn:aws:sts::123456789012:assumed-role/demo-on-call/ben",
        r"database restore",
        BACK,
        r"data loss: public\.users",
        r"recovered with its data, after another person than the requester approved",
    ),
    "fresh-release": (
        PROMOTED,
        r"service rollback \w+: started, trigger: release_watch",
        r"service rollback \w+: v1\.1\.0 → v1\.0\.0",
        rf"service rollback \w+: {BACK}",
        RECOVERED,
    ),
    "nothing-good": (
        r"service rollback \w+: refused: there is no release to go back to",
        r"An operator has to act",
        r"as expected: .* nothing was touched",
    ),
}  # fmt: skip


@pytest.mark.e2e
@pytest.mark.parametrize("scenario", SHOWN_EVENTS)
def test_a_demo_ends_as_expected_and_its_timeline_shows_the_events(scenario: str) -> None:
    process = run([ROLLBACK, "demo", "--scenario", scenario], {}, seconds=600)

    assert process.returncode == 0, process.stdout
    position = 0
    for event in SHOWN_EVENTS[scenario]:
        shown = re.compile(event).search(process.stdout, position)
        assert shown is not None, f"the timeline doesn't show {event!r}, or shows it too early:\n{process.stdout}"
        position = shown.end()


@pytest.mark.e2e
def test_an_unknown_scenario_is_refused_with_the_names_of_all_scenarios() -> None:
    process = run([ROLLBACK, "demo", "--scenario", "bad-relase"], {})

    assert process.returncode == 2
    assert all(scenario in process.stdout for scenario in SHOWN_EVENTS)
