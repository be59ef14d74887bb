"""The demo is the main job from end to end: nobody sets an alarm or starts anything, and the service recovers."""

import re

import pytest
from e2e.processes import ROLLBACK, run

# What starts the rollback, by scenario: one more scenario is one more line.
STARTED_BY = {
    "bad-release": r"alarm \S+-degraded: ALARM",
    "failed-deployment": r"rollout FAILED|ECS: \S+-task:2 is PRIMARY",
}
ROLLED_BACK = (
    r"rollback \w{8}: (admit|plan|service)",
    r"rollback \w{8}: (service|verify) v1\.1\.0 → v1\.0\.0",
    r"release v1\.1\.0 is quarantined",
)


@pytest.mark.e2e
@pytest.mark.parametrize("scenario", STARTED_BY)
def test_a_demo_ends_verifiably_recovered_and_tells_how(scenario: str) -> None:
    done = run([ROLLBACK, "demo", "--scenario", scenario], {}, seconds=300)

    assert done.returncode == 0, done.stdout
    assert "release v1.0.0 is promoted" in done.stdout
    at = done.stdout.index("ship v1.1.0")
    for wanted in (STARTED_BY[scenario], *ROLLED_BACK):
        found = re.compile(wanted).search(done.stdout, at)
        assert found is not None, f"{wanted!r} is not told, or too early:\n{done.stdout}"
        at = found.end()
    assert re.search(r"rollback \w{8}: succeeded and concluded", done.stdout)
    assert done.stdout.splitlines()[-1].endswith("recovered: the service verifiably runs its last known good release")
    assert re.search(r"from → to\W+v1\.1\.0 → v1\.0\.0", done.stdout)


@pytest.mark.e2e
def test_a_demo_that_is_not_known_is_refused_with_those_that_are() -> None:
    done = run([ROLLBACK, "demo", "--scenario", "bad-relase"], {})

    assert done.returncode == 2
    assert "bad-release" in done.stdout
