"""The demo's stories, each played to its end: nobody sets an alarm or starts anything in them."""

import re

import pytest
from e2e.processes import ROLLBACK, run

PROMOTED = r"release v1\.0\.0 is promoted"
QUARANTINED = r"release v1\.1\.0 is quarantined"
BACK = r"succeeded and concluded: v1\.1\.0 → v1\.0\.0"
RECOVERED = r"recovered: the service verifiably runs its last known good release"

# What the timeline tells, in this order. One more scenario is one more line.
STORIES = {
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
        r"on to restart_from_zero",
        r"suspend_scaling",
        r"scale_to_zero",
        r"start_from_zero",
        rf"emergency rollback \w+: {BACK}, by restart from zero",
        RECOVERED,
    ),
    "bad-migration": (
        PROMOTED,
        r"checkpoint before v1\.1\.0",
        r"v1\.0\.0 can't go back alone, the database goes with it, because of 0001_drop_email: .*email",
        r"database create_preview",
        r"database delete_preview",
        r"express-api: at zero tasks since",
        r"full rollback \w+: fenced",
        r"database restore",
        r"public\.users_id_seq continues behind",
        r"express-api: at zero tasks for \d+ s, of which the restore took \d+ s",
        r"connections: express-api: started from zero tasks, .* its session was seen on the branch",
        QUARANTINED,
        BACK,
        r"lost writes: public\.users",
        r"recovered with its data: .* the report lists exactly these rows",
    ),
    "nothing-good": (
        r"service rollback \w+: refused: there is no release to go back to",
        r"a person has to look",
        r"as expected: .* nothing was touched",
    ),
}  # fmt: skip


@pytest.mark.e2e
@pytest.mark.parametrize("scenario", STORIES)
def test_a_demo_ends_as_it_should_and_tells_how(scenario: str) -> None:
    done = run([ROLLBACK, "demo", "--scenario", scenario], {}, seconds=600)

    assert done.returncode == 0, done.stdout
    at = 0
    for wanted in STORIES[scenario]:
        found = re.compile(wanted).search(done.stdout, at)
        assert found is not None, f"{wanted!r} is not told, or too early:\n{done.stdout}"
        at = found.end()


@pytest.mark.e2e
def test_a_demo_that_is_not_known_is_refused_with_those_that_are() -> None:
    done = run([ROLLBACK, "demo", "--scenario", "bad-relase"], {})

    assert done.returncode == 2
    assert all(scenario in done.stdout for scenario in STORIES)
